import type { Floats } from '../../tensor/tensor.ts';
import type { Candidates } from './candidates.ts';

export interface TokenLogProbability {
  readonly id: number;
  readonly logprob: number;
}

export interface PickLogProbabilities {
  /** Of the chosen token. */
  readonly logprob: number;
  /** The likeliest tokens, best first. */
  readonly top: readonly TokenLogProbability[];
}

/**
 * Log-probabilities of the model's own distribution, before any sampler: log softmax of the raw logits, f64.
 * `top` is how many of the likeliest to list. Overwrites the candidates.
 */
export function rawLogProbabilities(
  candidates: Candidates,
  logits_RV: Floats,
  row: number,
  id: number,
  top: number,
): PickLogProbabilities {
  candidates.load(logits_RV, row);
  const chosen = candidates.logits[id]!;
  const logTotal = candidates.logSumExp();
  candidates.sortBest(top);
  return { logprob: chosen - logTotal, top: listTop(candidates, top, (i) => candidates.logits[i]! - logTotal) };
}

/** Log-probabilities of what the samplers left, as the last pick drew from it: tokens that were dropped are not listed. */
export function keptLogProbabilities(candidates: Candidates, id: number, top: number): PickLogProbabilities {
  candidates.sortBest(Math.max(1, top));
  candidates.softmax();
  let logprob = Number.NEGATIVE_INFINITY;
  for (let i = 0; i < candidates.count; i++)
    if (candidates.ids[i] === id) logprob = Math.log(candidates.probabilities[i]!);
  return { logprob, top: listTop(candidates, top, (i) => Math.log(candidates.probabilities[i]!)) };
}

function listTop(candidates: Candidates, top: number, logprob: (i: number) => number): TokenLogProbability[] {
  const count = Math.min(top, candidates.count);
  return Array.from({ length: count }, (_, i) => ({ id: candidates.ids[i]!, logprob: logprob(i) }));
}
