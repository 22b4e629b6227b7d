/** Server-sent events: the only place that knows their wire format. */
import { toApiError } from '../api-error.ts';

export interface NamedEvent {
  readonly type: string;
}

/** The same with the events' names, as OpenAI's Responses and Anthropic's Messages have it. `failed`: the last event where one fails. */
export async function* toNamedEvents(
  events: AsyncIterable<NamedEvent>,
  failed: (error: unknown) => NamedEvent,
): AsyncGenerator<string, void> {
  const line = (event: NamedEvent) => `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
  try {
    for await (const event of events) yield line(event);
  } catch (error) {
    yield line(failed(error));
  }
}

/** One line of JSON for each, as Ollama has it. `failed`: the last one where one fails. */
export async function* toLines(
  objects: AsyncIterable<object>,
  failed: (error: unknown) => object,
): AsyncGenerator<string, void> {
  try {
    for await (const object of objects) yield `${JSON.stringify(object)}\n`;
  } catch (error) {
    yield `${JSON.stringify(failed(error))}\n`;
  }
}

/** `data:` lines without names and without a last one, as llama-server's own endpoints have it. */
export async function* toDataEvents(
  objects: AsyncIterable<object>,
  failed: (error: unknown) => object,
): AsyncGenerator<string, void> {
  for await (const line of toLines(objects, failed)) yield `data: ${line}\n`;
}

/**
 * `data:` lines of JSON, and OpenAI's last line. What fails after the first byte cannot have a status any more: it is the last event,
 * in the shape of an error body, and there is no [DONE].
 */
export async function* toEventStream(
  events: AsyncIterable<unknown>,
  onError: (error: unknown) => void,
): AsyncGenerator<string, void> {
  try {
    for await (const event of events) yield `data: ${JSON.stringify(event)}\n\n`;
    yield 'data: [DONE]\n\n';
  } catch (error) {
    onError(error);
    yield `data: ${JSON.stringify(toApiError(error).body)}\n\n`;
  }
}
