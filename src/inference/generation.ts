/** What goes into a generation and what comes out: the words that the engine, the library and the server share. */
import type { ChatPrompt } from './chat-prompt.ts';
import type { PickLogProbabilities } from './sampler/log-probabilities.ts';

export type Prompt = string | ArrayLike<number> | ChatPrompt;

/** One generated token, and the text that became certain with it. */
export interface Piece {
  readonly id: number;
  /**
   * Empty while a character is unfinished or while the text may be the beginning of a stop string; a later piece then carries it.
   * The texts of all pieces joined are the result's text.
   */
  readonly text: string;
  readonly logprobs?: PieceLogProbabilities;
}

export interface PieceLogProbabilities extends PickLogProbabilities {
  readonly top: readonly { readonly id: number; readonly logprob: number; readonly text: string }[];
}

export type FinishReason =
  /** An end-of-generation token or a stop string. */
  | 'stop'
  /** maxTokens, or the context is full. */
  | 'length'
  /** The caller's AbortSignal, or a loop that was left. */
  | 'abort';

export interface GenerationResult {
  readonly text: string;
  /** The generated tokens, without an end-of-generation token. */
  readonly ids: Uint32Array;
  readonly promptIds: Uint32Array;
  /** With `promptLogprobs`: of the prompt's tokens, from its second on. */
  readonly promptLogprobs?: readonly PieceLogProbabilities[];
  readonly finishReason: FinishReason;
  /** The stop string that ended it. */
  readonly stop: string | null;
  /** The end-of-generation token that ended it. */
  readonly eogId: number | null;
  /** What the random numbers started from: the same seed gives the same tokens. */
  readonly seed: number;
  /** With `contextShift`: how many tokens were forgotten, where the context was full. */
  readonly forgotten?: number;
  readonly timings: Timings;
}

/** Under llama-server's names. */
export interface Timings {
  /** Prompt tokens that the cache already held. */
  readonly cache_n: number;
  /** Prompt tokens that were computed. */
  readonly prompt_n: number;
  readonly prompt_ms: number;
  readonly prompt_per_token_ms: number;
  readonly prompt_per_second: number;
  readonly predicted_n: number;
  readonly predicted_ms: number;
  readonly predicted_per_token_ms: number;
  readonly predicted_per_second: number;
  /** Tokens that were guessed, where the model has a draft. */
  readonly draft_n?: number;
  /** Of them, those that were right. */
  readonly draft_n_accepted?: number;
}

export function timingsOf(
  cached: number,
  prompt: number,
  promptMs: number,
  predicted: number,
  predictedMs: number,
): Timings {
  const ratio = (a: number, b: number) => (b > 0 ? a / b : 0);
  return {
    cache_n: cached,
    prompt_n: prompt,
    prompt_ms: promptMs,
    prompt_per_token_ms: ratio(promptMs, prompt),
    prompt_per_second: ratio(prompt * 1000, promptMs),
    predicted_n: predicted,
    predicted_ms: predictedMs,
    predicted_per_token_ms: ratio(predictedMs, predicted),
    predicted_per_second: ratio(predicted * 1000, predictedMs),
  };
}
