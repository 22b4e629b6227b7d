/** What every endpoint does with a request before it reaches the model. */
import type { ChatPrompt } from '../../inference/chat-prompt.ts';
import type { GenerationOptions } from '../../inference/options.ts';
import { checkIds, encodePrompt } from '../../inference/prompt.ts';
import { chatTemplateFor } from '../../tokenizer/chat/chat-template.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { ApiError } from '../api-error.ts';
import type { Desk } from '../preparing/desk.ts';
import { chatPromptOf } from '../request/chat.ts';
import { type ChatConstraint, chatConstraint } from '../request/constrained.ts';
import { templateShowsTools, withToolTexts } from '../request/tool-messages.ts';

/** Throws ApiError 404 where another model is asked for than the one that is served. */
export function checkModel({ settings }: Desk, wanted: string | null | undefined): void {
  const { modelId, aliases, anyModel } = settings;
  if (wanted == null || anyModel || wanted === modelId || aliases.includes(wanted)) return;
  throw new ApiError(
    404,
    'model_not_found',
    `model: this server serves ${JSON.stringify(settings.modelId)}, not ${JSON.stringify(wanted)}. Leave model out, or start the server with --model-id, --alias or --any-model.`,
    { param: 'model' },
  );
}

/** A conversation as the model's chat template wants it, the tools that it may call included, and what the answer is held to. */
export function conversationOf(
  { model, settings }: Pick<Desk, 'model'> & { readonly settings: Pick<Desk['settings'], 'template'> },
  request: Parameters<typeof chatPromptOf>[0] & Parameters<typeof chatConstraint>[0],
): { readonly messages: ChatPrompt & { readonly template: string }; readonly constraint: ChatConstraint } {
  const template = chatTemplateFor(model.tokenizer, settings.template ?? model.facts.chatTemplate ?? undefined).source;
  const constraint = chatConstraint(request, template);
  const offered = constraint.tools?.offered;
  const given = { ...chatPromptOf(request, template), template };
  const messages = templateShowsTools(template)
    ? { ...given, tools: offered ?? null }
    : { ...given, messages: withToolTexts(given.messages, offered ?? []) };
  return { messages, constraint };
}

/** The model as encodePrompt wants it. */
export function encoderOf({ tokenizer, facts, config }: Desk['model']) {
  return { tokenizer, chatTemplate: facts.chatTemplate, vocabSize: config.vocabSize };
}

const longest = new WeakMap<Tokenizer, number>();

/**
 * Throws ApiError 400 where a text is so long that no tokens could be few enough, without encoding it: a body of megabytes for a
 * context of thousands must not keep the server from its work.
 */
export function checkCharacters({ tokenizer, contextLength }: Desk['model'], characters: number, param: string): void {
  let most = longest.get(tokenizer);
  if (most === undefined) {
    most = 1;
    for (let id = 0; id < tokenizer.vocabSize; id++) most = Math.max(most, tokenizer.pieceOf(id).length);
    longest.set(tokenizer, most);
  }
  // A tokenizer may drop characters, runs of spaces say, but hardly three of four.
  if (characters <= 4 * most * contextLength) return;
  throw new ApiError(
    400,
    'context_length_exceeded',
    `the prompt is ${characters} characters, more than this model's ${contextLength} tokens could be.`,
    { param },
  );
}

/** The texts' ids, as the model reads them. */
export function encodeTexts(
  model: Desk['model'],
  texts: readonly (string | readonly number[])[],
  param: string,
  parseSpecial = false,
): Uint32Array[] {
  const { vocabSize } = model.config;
  for (const text of texts) checkCharacters(model, text.length, param);
  return texts.map((text, i) => {
    try {
      return typeof text === 'string'
        ? encodePrompt(encoderOf(model), text, { parseSpecial })
        : checkIds('generate', text, vocabSize);
    } catch (cause) {
      const where = texts.length === 1 ? param : `${param}.${i}`;
      throw new ApiError(400, 'invalid_value', (cause as Error).message, { param: where, cause });
    }
  });
}

/** Throws ApiError 400 `context_length_exceeded`: nothing is cut without a word. */
export function checkLength(
  model: Desk['model'],
  prompt: Uint32Array,
  param: string,
  { maxTokens = -1 }: Pick<GenerationOptions, 'maxTokens'>,
): void {
  const { contextLength } = model;
  const room = contextLength - prompt.length;
  if (room >= 0 && maxTokens <= room) return;
  throw new ApiError(
    400,
    'context_length_exceeded',
    `the prompt is ${prompt.length} of this model's ${contextLength} tokens, which leaves ${Math.max(room, 0)}` +
      `${room < 0 ? '' : `; max_tokens was ${maxTokens}`}.`,
    { param: room < 0 ? param : 'max_tokens' },
  );
}
