/** POST /tokenize, /detokenize, /apply-template, in llama-server's shapes. */
import { checkIds } from '../../inference/prompt.ts';
import { chatTemplateFor } from '../../tokenizer/chat/chat-template.ts';
import { ApiError } from '../api-error.ts';
import { templateSchema } from '../request/chat.ts';
import { parseBody } from '../request/parse.ts';
import { detokenizeSchema, tokenizeSchema } from '../request/texts.ts';
import type { Call, Core, Reply } from '../world.ts';
import { checkModel, conversationOf } from './prompts.ts';

export async function tokenize(core: Core, { body }: Call): Promise<Reply> {
  const request = parseBody(tokenizeSchema, body);
  checkModel(core, request.model);
  const { tokenizer } = core.model;
  const bos = (request.add_special ?? false) && tokenizer.addBos && tokenizer.bosId !== null;
  const special = (request.parse_special ?? true) ? 'parse' : 'text';
  const ids = tokenizer.encode(request.content, { bos, special });
  const tokens = request.with_pieces
    ? Array.from(ids, (id) => ({ id, piece: textOrBytes(tokenizer.bytesOf(id)) }))
    : Array.from(ids);
  return { kind: 'json', body: { tokens } };
}

export async function detokenize(core: Core, { body }: Call): Promise<Reply> {
  const request = parseBody(detokenizeSchema, body);
  checkModel(core, request.model);
  const { tokenizer } = core.model;
  if (request.tokens.length === 0) return { kind: 'json', body: { content: '' } };
  try {
    const ids = checkIds('detokenize', request.tokens, tokenizer.vocabSize);
    return { kind: 'json', body: { content: tokenizer.decode(ids, { special: 'text' }) } };
  } catch (cause) {
    throw new ApiError(400, 'invalid_value', (cause as Error).message, { param: 'tokens', cause });
  }
}

export async function applyTemplate(core: Core, { body }: Call): Promise<Reply> {
  const request = parseBody(templateSchema, body);
  checkModel(core, request.model);
  const {
    messages,
    template,
    variables = {},
    addGenerationPrompt = true,
    tools,
  } = conversationOf(core, request).messages;
  const options = { variables, addGenerationPrompt, tools: tools ?? null };
  const rendered = chatTemplateFor(core.model.tokenizer, template).render(messages, options);
  return { kind: 'json', body: { prompt: rendered.text } };
}

/** A piece that is no whole text is told by its bytes. */
function textOrBytes(bytes: Uint8Array): string | number[] {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    return [...bytes];
  }
}
