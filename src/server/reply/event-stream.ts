/** Server-sent events: the only place that knows their wire format. */
import { type ApiError, toApiError } from '../api-error.ts';

export interface NamedEvent {
  readonly type: string;
}

export function namedEvent(event: NamedEvent): string {
  return `event: ${event.type}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** A failure as the last of OpenAI's and llama-server's events. */
export function failedData(error: ApiError): string {
  return `data: ${JSON.stringify(error.body)}\n\n`;
}

/** Server-sent events with names, as OpenAI's Responses and Anthropic's Messages have it. `failed`: the last event where one fails. */
export async function* toNamedEvents(
  events: AsyncIterable<NamedEvent>,
  failed: (error: unknown) => NamedEvent,
): AsyncGenerator<string, void> {
  try {
    for await (const event of events) yield namedEvent(event);
  } catch (error) {
    yield namedEvent(failed(error));
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
    yield failedData(toApiError(error));
  }
}
