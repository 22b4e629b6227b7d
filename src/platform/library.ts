/** What the library offers besides Llama.load, the same in Node and in the browser. */
export { InvariantError } from '../base/assert.ts';
export { ArgumentError, ConfigError, CriaError, FormatError, UnsupportedError } from '../base/errors.ts';
export { parseItems } from '../evaluation/items.ts';
export {
  type Accuracy,
  accuracies,
  type Choice,
  type ChoiceScore,
  choiceRules,
  choose,
  type Item,
  type RuleName,
  scoreItem,
} from '../evaluation/multiple-choice.ts';
export {
  encodePair,
  type Request,
  type RollingMetrics,
  rollingMetrics,
  rollingWindows,
  type Scorer,
  scoreRequests,
} from '../evaluation/requests.ts';
export type { ChatPrompt } from '../inference/chat-prompt.ts';
export type {
  FinishReason,
  GenerationResult,
  Piece,
  PieceLogProbabilities,
  Prompt,
  Timings,
} from '../inference/generation.ts';
export type { ConstraintSpec } from '../inference/grammar/compile-constraint.ts';
export type { JsonSchema } from '../inference/grammar/schema/json-schema.ts';
export type { Trace, TraceSlice } from '../inference/observe.ts';
export type { LogitBias } from '../inference/option-table.ts';
export { type GenerationOptions, generationOptions } from '../inference/options.ts';
export type { NearRow } from '../inference/reading/parameters.ts';
export type { Score, TokenScores } from '../inference/reading/scoring.ts';
export type { Chat, ChatOptions } from '../inference/remote/chat.ts';
export type { GenerationStream } from '../inference/remote/generation-stream.ts';
export type { GenerateOptions, RemoteModel } from '../inference/remote/model.ts';
export type { AdapterFacts, LoadProgress, MemoryUse, ModelFacts } from '../inference/remote/protocol.ts';
export type { Traces } from '../inference/remote/traces.ts';
export type { TypedGeneration, TypedSchema } from '../inference/remote/typed.ts';
export { type SamplerName, type SamplingOptions, samplerNames, samplingOptions } from '../inference/sampler/options.ts';
export type { KvType } from '../kernels/ops.ts';
export type { AdapterChoice } from '../model/adapter/select.ts';
export type { LlamaConfig } from '../model/config.ts';
export type { ChatMessage } from '../tokenizer/chat/chat-template.ts';
export type { DecodeOptions, EncodeOptions } from '../tokenizer/tokenizer.ts';
export type { AdapterOption, LoadOptions, ModelSource } from './model-source.ts';
