/**
 * Estimates of KL(π ‖ ρ) from single tokens that π sampled, by log-probabilities p = log π, r = log ρ.
 *
 *   k1  p − r                 unbiased; single values may be negative
 *   k2  (p − r)² / 2          never negative, small bias
 *   k3  e^(r − p) − 1 − (r − p)   unbiased, never negative
 *
 * Source  Schulman 2020, "Approximating KL divergence" (joschu.net/blog/kl-approx.html).
 */
export const klEstimators = ['k1', 'k2', 'k3'] as const;
export type KlEstimator = (typeof klEstimators)[number];

export function estimateKl(estimator: KlEstimator, logp: number, reference: number): number {
  const difference = reference - logp;
  if (estimator === 'k1') return -difference;
  if (estimator === 'k2') return difference ** 2 / 2;
  return Math.expm1(difference) - difference;
}

/** d estimate / d logp, for losses that have KL as a term. */
export function klSlope(estimator: KlEstimator, logp: number, reference: number): number {
  const difference = reference - logp;
  if (estimator === 'k1') return 1;
  if (estimator === 'k2') return -difference;
  return -Math.expm1(difference);
}
