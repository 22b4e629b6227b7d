/** POST /v1/messages and /v1/messages/count_tokens, as Anthropic has them. */
import { type ApiError, toApiError } from '../api-error.ts';
import type { Desk } from '../preparing/desk.ts';
import { toNamedEvents } from '../reply/event-stream.ts';
import { type MessageEvent, MessageWriter } from '../reply/message-writer.ts';
import {
  chatOfConversation,
  chatOfMessages,
  countTokensSchema,
  messagesNotOffered,
  messagesSchema,
} from '../request/messages.ts';
import { parseBody } from '../request/parse.ts';
import type { Call, Core, Reply } from '../world.ts';
import { prepareTurn, readConversation, startTurn, type Turn, turnEvents } from './conversation.ts';
import { askedFor } from './prompts.ts';

/** Anthropic's name for each kind of refusal, by status. */
const types: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  503: 'overloaded_error',
};

export function messagesError({ status, message, code, param }: ApiError): MessageEvent {
  return { type: 'error', error: { type: types[status] ?? 'api_error', message, code, param } };
}

export function prepareMessages(desk: Desk, body: unknown): Turn {
  const request = parseBody(messagesSchema, body);
  return prepareTurn(desk, chatOfMessages(request), { notHeld: messagesNotOffered(request) });
}

export async function messages(core: Core, call: Call, turn: Turn): Promise<Reply> {
  const { generations, headers } = await startTurn(core, call, turn);
  const head = { id: `msg_${core.randomId()}`, model: turn.shape.model };
  const writer = new MessageWriter(head, turn.prompt.length, core.randomId);
  let whole: object = {};
  const events = writer.events(turnEvents(core, generations, turn, call.notes), (message) => {
    whole = message;
  });
  if (!turn.shape.stream) {
    for await (const _event of events);
    return { kind: 'json', body: whole, headers };
  }
  const failed = (error: unknown): MessageEvent => {
    call.notes.error = error;
    return messagesError(toApiError(error));
  };
  return { kind: 'events', events: toNamedEvents(events, failed), headers };
}

/** The exact count that the request would have. */
export function prepareCount(desk: Desk, body: unknown): number {
  const request = chatOfConversation(parseBody(countTokensSchema, body));
  const { adapters } = askedFor(desk, request, { isConversation: true });
  return readConversation(desk, request, adapters).prompt.length;
}

export async function countTokens(_core: Core, _call: Call, count: number): Promise<Reply> {
  return { kind: 'json', body: { input_tokens: count } };
}
