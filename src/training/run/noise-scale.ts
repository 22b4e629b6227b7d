/**
 * The gradient noise scale: the batch, in tokens, from which on more tokens a step begin to pay less. A mean gradient of B tokens has
 *
 *   E|G_B|² = |G|² + tr Σ / B
 *
 * so that the squared norms at two sizes, a part of the step's batch (small) and all of it (big), give both parts without bias:
 *
 *   tr Σ ≈ (|G_small|² − |G_big|²) / (1/B_small − 1/B_big)      |G|² ≈ |G_big|² − tr Σ / B_big      B_simple = tr Σ / |G|²
 *
 * Numerator and denominator are averaged over the steps, each by itself, as their quotient has a bias.
 * Source   McCandlish et al. 2018, arXiv:1812.06162 appendix A.1.
 */
import { smoothed } from './smoothed.ts';

/** The gradient of a part of a step's batch; on several ranks, or of several parts, means over them. */
export interface SmallBatch {
  /** |G_small|², of the mean over the part's labels. */
  readonly squares: number;
  /** 1 / B_small. */
  readonly inverseLabels: number;
}

/** For checkpoints. */
export interface NoiseState {
  readonly trace: number;
  readonly squares: number;
  readonly count: number;
}

/** The part of its weight that an estimate keeps with each step after it. */
const KEEP = 0.99;

/** Takes one step into the averages. A step that says nothing changes nothing. */
export function withStep(
  before: NoiseState | null,
  small: SmallBatch,
  big: { readonly gradientNorm: number; readonly labelCount: number },
): NoiseState | null {
  const difference = small.inverseLabels - 1 / big.labelCount;
  const bigSquares = big.gradientNorm ** 2;
  const trace = (small.squares - bigSquares) / difference;
  if (!(difference > 0) || !Number.isFinite(trace)) return before;
  const count = (before?.count ?? 0) + 1;
  return {
    trace: smoothed(before?.trace ?? null, trace, count, KEEP),
    squares: smoothed(before?.squares ?? null, bigSquares - trace / big.labelCount, count, KEEP),
    count,
  };
}

/** B_simple in tokens; null while the averages are not positive, and so too noisy to tell. */
export function noiseScale(state: NoiseState | null): number | null {
  return state !== null && state.trace > 0 && state.squares > 0 ? state.trace / state.squares : null;
}
