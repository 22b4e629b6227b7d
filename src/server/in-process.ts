/** A conversation's next turn, and texts as vectors, without HTTP: what the adapters to other libraries share with the endpoints. */
import { withResolvers } from '../base/es2024.ts';
import type { GenerationResult, Piece } from '../inference/generation.ts';
import { encodePrompt } from '../inference/prompt.ts';
import { type Pooling, unitLength } from '../inference/reading/embedding.ts';
import type { GenerateOptions } from '../inference/remote/model.ts';
import { usualNames } from '../model/adapter/select.ts';
import { checkLength, conversationOf, encoderOf, encodeTexts } from './endpoints/prompts.ts';
import { type AnswerReader, answerReader } from './reply/answer-reader.ts';
import type { ServedModel } from './world.ts';

/** The messages, the tools and what the answer must be, in the words of POST /v1/chat/completions. */
export type ConversationRequest = Parameters<typeof conversationOf>[1];

/** An answer under way. */
export interface RunningAnswer {
  readonly pieces: AsyncIterableIterator<Piece>;
  readonly result: Promise<GenerationResult>;
  readonly reader: AnswerReader;
}

/**
 * `template`: a chat template's name or Jinja text; undefined: the adapters', else the model's own. Resolves when the engine has taken the answer in, so that what is wrong with the request is known before the first piece.
 * Throws ApiError 400, ArgumentError; the signal's reason.
 */
export async function startAnswer(
  model: ServedModel,
  template: string | undefined,
  request: ConversationRequest,
  options: GenerateOptions,
): Promise<RunningAnswer> {
  const { signal } = options;
  signal?.throwIfAborted();
  const { messages, constraint } = conversationOf({ model, settings: { template } }, request, options.adapters ?? null);
  const prompt = encodePrompt(encoderOf(model), messages, { parseSpecial: false });
  checkLength(model, prompt, 'messages', options);
  const admission = withResolvers<void>();
  const stream = model.generate(prompt, {
    ...options,
    adapters: options.adapters ?? usualNames(model.facts.adapters, true), // ids do not say that they are a conversation
    ...(constraint.spec && { constraint: constraint.spec }),
    onAdmitted: () => admission.resolve(),
  });
  await Promise.race([admission.promise, stream.result]);
  return {
    pieces: stream,
    result: stream.result,
    reader: answerReader(model.tokenizer, constraint.tools?.format ?? null),
  };
}

/** Texts as vectors of unit length, and how many tokens they were. Throws ApiError 400. */
export async function embedTexts(
  model: ServedModel,
  texts: readonly string[],
  options: { readonly pooling: Pooling; readonly signal?: AbortSignal },
): Promise<{ readonly vectors: readonly Float32Array[]; readonly tokens: number }> {
  const inputs = encodeTexts(model, texts, 'input');
  for (const ids of inputs) checkLength(model, ids, 'input', { maxTokens: 0 });
  const vectors = await Promise.all(inputs.map((ids) => model.embed(ids, options)));
  return { vectors: vectors.map(unitLength), tokens: inputs.reduce((sum, { length }) => sum + length, 0) };
}
