/** POST /tokenize, /detokenize, /apply-template, in llama-server's shapes. */

import { renderChat } from '../../inference/chat-prompt.ts';
import { checkIds } from '../../inference/prompt.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { ApiError } from '../api-error.ts';
import type { Desk } from '../preparing/desk.ts';
import { templateSchema } from '../request/chat.ts';
import { parseBody } from '../request/parse.ts';
import { detokenizeSchema, tokenizeSchema } from '../request/texts.ts';
import { askedFor, checkModel, conversationOf } from './prompts.ts';

export function tokenize(desk: Desk, body: unknown): Uint8Array<ArrayBuffer> {
  const request = parseBody(tokenizeSchema, body);
  checkModel(desk, request.model);
  const { tokenizer } = desk.model;
  const bos = (request.add_special ?? false) && tokenizer.addBos && tokenizer.bosId !== null;
  const special = (request.parse_special ?? true) ? 'parse' : 'text';
  const ids = tokenizer.encode(request.content, { bos, special });
  return request.with_pieces ? withPieces(tokenizer, ids) : written({ tokens: Array.from(ids) });
}

/** As written({ tokens: [{ id, piece }, …] }) is; what stands for a token is written once, and copied as often as the token comes. */
export function withPieces(tokenizer: Pick<Tokenizer, 'bytesOf'>, ids: Uint32Array): Uint8Array<ArrayBuffer> {
  const encoder = new TextEncoder();
  const entries = new Map<number, Uint8Array>();
  const entryOf = (id: number): Uint8Array => {
    let entry = entries.get(id);
    if (!entry) {
      const text = JSON.stringify({ id, piece: textOrBytes(tokenizer.bytesOf(id)) });
      entries.set(id, (entry = encoder.encode(`${text},`)));
    }
    return entry;
  };
  const [head, end] = ['{"tokens":[', ']}'].map((text) => encoder.encode(text)) as [Uint8Array, Uint8Array];
  let length = head.length;
  for (const id of ids) length += entryOf(id).length;
  if (ids.length > 0) length--; // the last comma, which the end is written over
  const body = new Uint8Array(length + end.length);
  body.set(head);
  let at = head.length;
  for (const id of ids) {
    const entry = entryOf(id);
    body.set(entry, at);
    at += entry.length;
  }
  body.set(end, length);
  return body;
}

export function detokenize(desk: Desk, body: unknown): Uint8Array<ArrayBuffer> {
  const request = parseBody(detokenizeSchema, body);
  checkModel(desk, request.model);
  const { tokenizer } = desk.model;
  if (request.tokens.length === 0) return written({ content: '' });
  try {
    const ids = checkIds('detokenize', request.tokens, tokenizer.vocabSize);
    return written({ content: tokenizer.decode(ids, { special: 'text' }) });
  } catch (cause) {
    throw new ApiError(400, 'invalid_value', (cause as Error).message, { param: 'tokens', cause });
  }
}

export function applyTemplate(desk: Desk, body: unknown): Uint8Array<ArrayBuffer> {
  const request = parseBody(templateSchema, body);
  const { adapters } = askedFor(desk, { model: request.model }, { isConversation: true });
  const {
    messages,
    template,
    variables = {},
    addGenerationPrompt = true,
    continuation = '',
    tools,
  } = conversationOf(desk, request, adapters).messages;
  const prompt = { messages, template, variables, addGenerationPrompt, tools: tools ?? null };
  const rendered = renderChat(desk.model.tokenizer, prompt, desk.now);
  return written({ prompt: rendered.text + continuation });
}

/** JSON as it is sent: a long list of tokens costs the thread that answers nothing. */
function written(body: object): Uint8Array<ArrayBuffer> {
  return new TextEncoder().encode(JSON.stringify(body));
}

/** A piece that is no whole text is told by its bytes. */
function textOrBytes(bytes: Uint8Array): string | number[] {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return [...bytes];
  }
}
