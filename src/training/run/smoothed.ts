/** The part of its weight that a loss keeps with each step after it. */
export const SMOOTHING = 0.98;

/**
 * The mean of all losses so far, each weighing `keep` times as much as the next: from the first step on without a bias towards it.
 *
 *   s_n = Σ keep^(n−i) · loss_i / Σ keep^(n−i) = s_(n−1) + (loss_n − s_(n−1)) · (1 − keep) / (1 − keep^n)
 *
 * A step that was left out (null) changes nothing.
 */
export function smoothed(before: number | null, loss: number | null, step: number, keep: number): number {
  if (loss === null) return before ?? Number.NaN;
  if (before === null || !Number.isFinite(before)) return loss;
  return before + ((loss - before) * (1 - keep)) / (1 - keep ** step);
}
