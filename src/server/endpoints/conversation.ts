/** One conversation's next turn, whatever protocol asks for it: requests are translated to that of /v1/chat/completions. */
import type { ChatPrompt } from '../../inference/chat-prompt.ts';
import type { GenerationResult, Piece } from '../../inference/generation.ts';
import type { ToolFormat } from '../../inference/grammar/tools.ts';
import { encodePrompt } from '../../inference/prompt.ts';
import type { AdapterChoice } from '../../model/adapter/select.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import { type Generations, startGenerations } from '../generations.ts';
import type { Desk } from '../preparing/desk.ts';
import { answerReader } from '../reply/answer-reader.ts';
import { mergeAnswers, type TurnEnd, usageOf } from '../reply/choices.ts';
import { type AnswerEvent, type Thinking, ThinkingReader, thinkingOf } from '../reply/thinking.ts';
import { type ChatRequest, chatLogprobs } from '../request/chat.ts';
import { chatConstraint } from '../request/constrained.ts';
import { optionsOf, type Shape, shapeOf } from '../request/generation-fields.ts';
import type { Call, Core } from '../world.ts';
import { constraintOf } from './constraint.ts';
import { askedFor, checkCharacters, checkLength, conversationOf, encoderOf, encodeTexts } from './prompts.ts';

export interface ChatShape extends Shape {
  readonly model: string;
  readonly logprobs: boolean;
  /** How calls are written; null: nothing may be called. */
  readonly toolFormat: ToolFormat | null;
  /** How thoughts are told apart; null: they are not. */
  readonly thinking: Thinking | null;
}

export interface TurnSource {
  /** The field that holds the conversation, for what is said of it. */
  readonly param?: string;
  /** What of the request cannot be held, beside what the compiled grammar cannot. */
  readonly notHeld?: readonly string[];
}

/** Throws ApiError. */
export function prepareTurn(desk: Desk, request: ChatRequest, { param = 'messages', notHeld = [] }: TurnSource = {}) {
  const { model } = desk;
  const asked = askedFor(desk, request, { isConversation: true });
  const logprobs = chatLogprobs(request);
  const options = { ...optionsOf(request), logprobs };
  const { messages, constraint, prompt } = readConversation(desk, request, asked.adapters, param);
  checkLength(model, prompt, param, desk.settings.refuseBeyondContext ? options : {});
  const { spec, tools } = constraint;
  // A form, or a call that must be made, leaves no room for thoughts.
  const isFree = spec === null || (spec.kind === 'tools' && spec.choice === 'auto');
  const tellsThoughts = isFree && request.reasoning_format !== 'none';
  const shape: ChatShape = {
    ...shapeOf(request),
    model: asked.model,
    logprobs: logprobs >= 0,
    toolFormat: tools?.format ?? null,
    thinking: tellsThoughts ? thinkingOf(messages.template, model.tokenizer, prompt) : null,
  };
  return { prompt, options, shape, asked, constraint: spec && JSON.stringify(spec), notHeld };
}

/** A conversation's prompt, which may be longer than the context. Throws ApiError. */
export function readConversation(desk: Desk, request: ChatRequest, adapters: AdapterChoice | null, param = 'messages') {
  const { model } = desk;
  const { messages, constraint } = conversationOf(desk, request, adapters);
  checkCharacters(model, charactersOf(messages), param);
  const prompt = encodePrompt(encoderOf(model), messages, { parseSpecial: false });
  return { messages, constraint, prompt };
}

/** The same for a text that no template is put around; `parseSpecial`: special tokens written in it are those tokens. Throws ApiError. */
export function prepareRawTurn(
  desk: Desk,
  request: Omit<ChatRequest, 'messages'>,
  text: string | readonly number[],
  parseSpecial = false,
): Turn {
  const { model } = desk;
  const asked = askedFor(desk, request);
  const options = { ...optionsOf(request), logprobs: -1 };
  const [prompt] = encodeTexts(model, [text], 'prompt', parseSpecial) as [Uint32Array];
  checkLength(model, prompt, 'prompt', desk.settings.refuseBeyondContext ? options : {});
  const { spec } = chatConstraint(request as ChatRequest, null);
  const shape: ChatShape = {
    ...shapeOf(request),
    model: asked.model,
    logprobs: false,
    toolFormat: null,
    thinking: null,
  };
  return { prompt, options, shape, asked, constraint: spec && JSON.stringify(spec), notHeld: [] };
}

export type Turn = ReturnType<typeof prepareTurn>;

function charactersOf({ messages }: ChatPrompt): number {
  return messages.reduce((sum, { content }) => sum + String(content).length, 0);
}

export interface StartedTurn {
  readonly generations: Generations;
  /** What the client is told beside the answer. */
  readonly headers: Readonly<Record<string, string>>;
}

/** Resolves when the engine has taken the answers in. Throws ApiError. */
export async function startTurn(
  core: Core,
  { signal, notes }: Call,
  { prompt, options, shape, asked, constraint: spec, notHeld }: Turn,
): Promise<StartedTurn> {
  Object.assign(notes, { promptTokens: prompt.length, user: shape.user ?? undefined, stream: shape.stream });
  const { constraint, headers } = await constraintOf(core, spec, signal, notes, notHeld);
  const { n, slot } = shape;
  const prompts = [prompt];
  const plan = { prompts, n, slot, options: { ...options, constraint, adapters: asked.adapters ?? undefined } };
  return { generations: await startGenerations(core, plan, signal), headers };
}

/** Takes an answer apart: what is thought, what is said, what is called. */
export function turnReader(
  tokenizer: Tokenizer,
  { toolFormat, thinking }: Pick<ChatShape, 'toolFormat' | 'thinking'>,
): { push(piece: Piece): AnswerEvent[]; end(): AnswerEvent[] } {
  const answer = answerReader(tokenizer, toolFormat);
  return thinking ? new ThinkingReader(tokenizer, thinking, answer) : answer;
}

/** The one answer of a turn as it comes, and its end. Ends it when nobody reads on. */
export async function* turnEvents(
  core: Core,
  generations: Generations,
  { prompt, shape }: Pick<Turn, 'prompt' | 'shape'>,
  notes: Call['notes'],
): AsyncGenerator<AnswerEvent | TurnEnd, void> {
  const reader = turnReader(core.model.tokenizer, shape);
  let tokens = 0;
  let thoughtTokens = 0;
  try {
    for await (const event of mergeAnswers(generations.answers)) {
      if ('piece' in event) tokens++;
      const said = 'piece' in event ? reader.push(event.piece) : reader.end();
      if (said.some(({ kind }) => kind === 'reasoning')) thoughtTokens = tokens;
      yield* said;
    }
    const results = await generations.finish();
    const [result] = results as [GenerationResult];
    const usage = usageOf(prompt.length, results, generations.cachedTokens(results));
    Object.assign(notes, { completionTokens: usage.completion_tokens, seed: result.seed });
    yield { kind: 'end', result, usage, thoughtTokens };
  } finally {
    generations.abort();
  }
}
