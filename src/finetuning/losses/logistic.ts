/** The logistic function and its logarithm, without overflow or cancellation at either end. */

/** σ(x) = 1 / (1 + e⁻ˣ) */
export function sigmoid(x: number): number {
  if (x >= 0) return 1 / (1 + Math.exp(-x));
  const e = Math.exp(x);
  return e / (1 + e);
}

/** log σ(x) = −log(1 + e⁻ˣ); its derivative is σ(−x). */
export function logSigmoid(x: number): number {
  return Math.min(0, x) - Math.log1p(Math.exp(-Math.abs(x)));
}

/** log(1 − eˣ) for x < 0, accurate near 0 and far from it. */
export function logOneMinusExp(x: number): number {
  return x > -Math.LN2 ? Math.log(-Math.expm1(x)) : Math.log1p(-Math.exp(x));
}
