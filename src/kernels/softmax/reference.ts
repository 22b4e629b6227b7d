import type { Floats } from '../../tensor/tensor.ts';

/**
 * A row of scores as probabilities, over its first `count` numbers.
 *
 *   p_v = exp(z_v − max z) / Σ_u exp(z_u − max z)
 *
 * Shapes   p_V, z_V (may be the same)
 * Numbers  f64; −∞ has probability 0; where +∞ occurs, its places share everything.
 * Also     fused where a row of scores never exists as a whole: online in attention (its kernels), with the output layer in
 *          cross-entropy. Their gradients: p·(dp − Σ p·dp) in attention, softmax − [v = label] in cross-entropy.
 */
export function softmax(p_V: Floats, z_V: Floats, count = z_V.length): void {
  const max = largest(z_V, count);
  const infinite = max === Number.POSITIVE_INFINITY;
  let sum = 0;
  for (let v = 0; v < count; v++) sum += p_V[v] = infinite ? Number(z_V[v] === max) : Math.exp(z_V[v]! - max);
  for (let v = 0; v < count; v++) p_V[v]! /= sum;
}

/** log Σ_v exp(z_v) over the first `count` numbers of z_V, in f64, without overflow. */
export function logSumExp(z_V: Floats, count = z_V.length): number {
  const max = largest(z_V, count);
  if (!Number.isFinite(max)) return max;
  let sum = 0;
  for (let v = 0; v < count; v++) sum += Math.exp(z_V[v]! - max);
  return max + Math.log(sum);
}

/** log softmax(z_V)_v, for one v: −∞ and not a rounded 0 where the probability is too small for a number. */
export function logSoftmaxAt(z_V: Floats, v: number): number {
  return z_V[v]! - logSumExp(z_V);
}

function largest(z_V: Floats, count: number): number {
  let max = Number.NEGATIVE_INFINITY;
  for (let v = 0; v < count; v++) if (z_V[v]! > max) max = z_V[v]!;
  return max;
}
