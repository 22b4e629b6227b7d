/** POST /v1/responses, and the responses that are kept. */
import { type ApiError, toApiError } from '../api-error.ts';
import type { House } from '../models/models.ts';
import type { Desk } from '../preparing/desk.ts';
import { namedEvent, toNamedEvents } from '../reply/event-stream.ts';
import { type ResponseEvent, ResponseWriter } from '../reply/response-writer.ts';
import { notOffered } from '../request/constrained.ts';
import { parseBody } from '../request/parse.ts';
import {
  chatRequestOf,
  type Earlier,
  type EarlierNeeds,
  functionsOf,
  type Item,
  itemsOf,
  needsOf,
  type ResponsesRequest,
  responsesSchema,
} from '../request/responses.ts';
import type { Call, Core, Reply } from '../world.ts';
import { prepareTurn, startTurn, type Turn, turnEvents } from './conversation.ts';

/** Either what the request needs of earlier ones, to be prepared again with it, or all of it. */
export type PreparedResponse =
  | { readonly needs: EarlierNeeds; readonly body: Uint8Array<ArrayBuffer> }
  | {
      readonly needs: null;
      readonly turn: Turn;
      readonly items: readonly Item[];
      readonly head: object;
      readonly keep: boolean;
    };

export function prepareResponse(desk: Desk, body: unknown, earlier?: Earlier): PreparedResponse {
  const request = parseBody(responsesSchema, body);
  const needs = needsOf(request);
  if (needs && !earlier) return { needs, body: new TextEncoder().encode(JSON.stringify(body)) };
  const items = itemsOf(request, earlier ?? { conversation: [], items: {} });
  const turn = prepareTurn(desk, chatRequestOf(request, items), { param: 'input', notHeld: notOffered(request.tools) });
  return { needs: null, turn, items, head: headOf(request), keep: request.store ?? true };
}

/** What a response repeats of its request. */
function headOf(request: ResponsesRequest): object {
  const { instructions, max_output_tokens, metadata, parallel_tool_calls, previous_response_id, text, tool_choice } =
    request as ResponsesRequest & { readonly metadata?: unknown };
  const sampling = request as { readonly temperature?: number | null; readonly top_p?: number | null };
  return {
    instructions: instructions ?? null,
    max_output_tokens: max_output_tokens ?? null,
    metadata: metadata ?? {},
    parallel_tool_calls: parallel_tool_calls ?? true,
    previous_response_id: previous_response_id ?? null,
    store: request.store ?? true,
    temperature: sampling.temperature ?? null,
    text: { format: text?.format ?? { type: 'text' } },
    tool_choice: tool_choice ?? 'auto',
    tools: functionsOf(request),
    top_p: sampling.top_p ?? null,
    truncation: 'disabled',
    background: false,
  };
}

export async function responses(core: Core, call: Call, given: PreparedResponse): Promise<Reply> {
  const prepared = given.needs ? await prepareAgain(core, call, given) : given;
  const { turn, items, keep } = prepared;
  const { generations, headers } = await startTurn(core, call, turn);
  const id = `resp_${core.randomId()}`;
  const head = {
    id,
    object: 'response',
    created_at: core.clocks.unixSeconds(),
    model: turn.shape.model,
    ...prepared.head,
  };
  const writer = new ResponseWriter(head, core.randomId);
  let whole: object = {};
  const events = writer.events(turnEvents(core, generations, turn, call.notes), (body, output) => {
    whole = body;
    if (keep) core.responses.keep({ id, body, conversation: [...items, ...output] });
  });
  if (!turn.shape.stream) {
    for await (const _event of events);
    return { kind: 'json', body: whole, headers };
  }
  const failed = (error: unknown): ResponseEvent => {
    call.notes.error = error;
    const { code, message } = toApiError(error);
    return writer.failure(code, message);
  };
  return { kind: 'events', events: toNamedEvents(events, failed), headers };
}

/** Before there was any response. */
export function failedResponse({ code, message, param }: ApiError): string {
  const event = { type: 'error', sequence_number: 0, code, message, param };
  return namedEvent(event);
}

async function prepareAgain(
  core: Core,
  { signal }: Call,
  { needs, body }: Extract<PreparedResponse, { needs: EarlierNeeds }>,
) {
  const earlier = JSON.stringify(core.responses.earlier(needs));
  const usualAdapters = core.usualAdapters.scales;
  const job = { kind: 'request' as const, path: '/v1/responses', body, earlier, usualAdapters };
  return (await core.preparers.run(job, signal)) as Extract<PreparedResponse, { needs: null }>;
}

export async function oneResponse({ responses }: House, id: string): Promise<Reply> {
  return { kind: 'json', body: responses.get(id).body };
}

export async function deleteResponse({ responses }: House, id: string): Promise<Reply> {
  responses.get(id);
  responses.forget(id);
  return { kind: 'json', body: { id, object: 'response.deleted', deleted: true } };
}
