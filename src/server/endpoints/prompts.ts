/** What every endpoint does with a request before it reaches the model. */

import type { ChatPrompt } from '../../inference/chat-prompt.ts';
import type { GenerationOptions } from '../../inference/options.ts';
import { checkIds, encodePrompt } from '../../inference/prompt.ts';
import { type AdapterChoice, usualNames } from '../../model/adapter/select.ts';
import { chatTemplateFor } from '../../tokenizer/chat/chat-template.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { ApiError } from '../api-error.ts';
import type { Desk } from '../preparing/desk.ts';
import { chatPromptOf } from '../request/chat.ts';
import { type ChatConstraint, chatConstraint } from '../request/constrained.ts';
import type { SharedFields } from '../request/generation-fields.ts';
import { templateShowsTools, withToolTexts } from '../request/tool-messages.ts';
import { templateOf } from '../template.ts';

/** Throws ApiError 404 where another model is asked for than the one that is served, or one of its adapters. */
export function checkModel({ settings, model }: Desk, wanted: string | null | undefined): void {
  const { modelId, aliases, anyModel } = settings;
  const names = [modelId, ...model.facts.adapters.map(({ name }) => name)];
  if (wanted == null || anyModel || aliases.includes(wanted) || names.includes(wanted)) return;
  throw new ApiError(
    404,
    'model_not_found',
    `model: this server serves ${names.map((name) => JSON.stringify(name)).join(', ')}, not ${JSON.stringify(wanted)}. Leave model out, or start the server with --model-id, --alias, --any-model or --adapter.`,
    { param: 'model' },
  );
}

/** Under which name an answer goes out, and what it is computed with; null: the adapters that the server uses where nobody says. */
export interface Asked {
  readonly model: string;
  readonly adapters: AdapterChoice | null;
}

/**
 * `model` may name an adapter, which is then used as it was loaded; the model's own name means it without adapters, but for the one that
 * lets it talk, where a conversation is answered. `adapters` (by name) or llama-server's `lora` (by number) say more, and win over it.
 * Throws ApiError 404, 400.
 */
export function askedFor(
  desk: Desk,
  { model: name, adapters, lora }: Pick<SharedFields, 'model' | 'adapters' | 'lora'>,
  { isConversation = false } = {},
): Asked {
  const { settings, model } = desk;
  checkModel(desk, name);
  const known = model.facts.adapters;
  const refuse = (param: string, problem: string) => {
    throw new ApiError(400, 'invalid_value', `${param}: ${problem}`, { param });
  };
  const adapter = known.find((one) => one.name === name);
  const asked = adapter ? adapter.name : settings.modelId;
  if (adapters != null && lora != null) refuse('lora', 'expected adapters or lora, not both.');
  if (lora != null) {
    const wrong = lora.find(({ id }) => id >= known.length);
    if (wrong) refuse('lora', `adapter ${wrong.id} does not exist; there are ${known.length}.`);
    const scales = Object.fromEntries(lora.map(({ id, scale }) => [known[id]!.name, scale]));
    return { model: asked, adapters: scales };
  }
  if (adapters != null) {
    const names = Array.isArray(adapters) ? (adapters as readonly string[]) : Object.keys(adapters);
    const wrong = names.find((one) => !known.some((adapter) => adapter.name === one));
    if (wrong !== undefined) {
      const there =
        known.length === 0 ? 'The server has none.' : `There are ${known.map((one) => one.name).join(', ')}.`;
      refuse('adapters', `${JSON.stringify(wrong)} is no adapter of this server. ${there}`);
    }
    return { model: asked, adapters };
  }
  if (adapter) return { model: asked, adapters: [adapter.name] };
  if (desk.usualAdapters !== null) return { model: asked, adapters: desk.usualAdapters };
  if (isConversation && known.some(({ usual }) => usual === 'chat'))
    return { model: asked, adapters: usualNames(known, true) };
  const isBase = name != null && [settings.modelId, ...settings.aliases].includes(name);
  return { model: asked, adapters: isBase && known.length > 0 ? [] : null };
}

/**
 * A conversation as its template wants it, the tools that it may call included, and what the answer is held to. `choice`: the adapters that
 * answer; null: the usual ones.
 */
export function conversationOf(
  { model, settings }: Pick<Desk, 'model'> & { readonly settings: Pick<Desk['settings'], 'template'> },
  request: Parameters<typeof chatPromptOf>[0] & Parameters<typeof chatConstraint>[0],
  choice: AdapterChoice | null,
): { readonly messages: ChatPrompt & { readonly template: string }; readonly constraint: ChatConstraint } {
  const template = chatTemplateFor(model.tokenizer, templateOf(model, settings.template, choice)).source;
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

/** No text of more characters could be so few tokens. */
export function mostCharacters(tokenizer: Tokenizer, tokens: number): number {
  let most = longest.get(tokenizer);
  if (most === undefined) {
    most = 1;
    for (let id = 0; id < tokenizer.vocabSize; id++) most = Math.max(most, tokenizer.pieceOf(id).length);
    longest.set(tokenizer, most);
  }
  // A tokenizer may drop characters, runs of spaces say, but hardly three of four.
  return 4 * most * tokens;
}

/**
 * Throws ApiError 400 where a text is so long that no tokens could be few enough, without encoding it: a body of megabytes for a
 * context of thousands must not keep the server from its work.
 */
export function checkCharacters({ tokenizer, contextLength }: Desk['model'], characters: number, param: string): void {
  if (characters <= mostCharacters(tokenizer, contextLength)) return;
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
    room < 0
      ? `the prompt is ${prompt.length} tokens, more than this model's ${contextLength}. Shorten it, leave early messages out, or start the server with a larger --context.`
      : `the prompt is ${prompt.length} of this model's ${contextLength} tokens, which leaves ${room}; max_tokens was ${maxTokens}. ` +
          'Ask for fewer, or leave max_tokens out.',
    { param: room < 0 ? param : 'max_tokens' },
  );
}
