/** POST /tokenize, /detokenize, /apply-template, in llama-server's shapes. */

import { renderChat } from '../../inference/chat-prompt.ts';
import { checkIds } from '../../inference/prompt.ts';
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
  const tokens = request.with_pieces
    ? Array.from(ids, (id) => ({ id, piece: textOrBytes(tokenizer.bytesOf(id)) }))
    : Array.from(ids);
  return written({ tokens });
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
