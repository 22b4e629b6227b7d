import type { Scorer } from '../requests.ts';

export interface Sampling {
  readonly stop: readonly string[];
  readonly maxTokens: number;
  /** 0: always the likeliest token. */
  readonly temperature: number;
  readonly topP: number;
  readonly seed: number;
}

/** What evaluation needs of a model: Scorer, and texts from it. */
export interface EvaluatedModel extends Scorer {
  /** A context's tokens, in the conversation where there is one. */
  encodeContext(text: string): Uint32Array;
  generate(ids: Uint32Array, sampling: Sampling): Promise<string>;
}
