/**
 * Noisy embeddings: in training, every embedded token of a sample gets uniform noise.
 *
 *   x = embedding + U(−1, 1) · α / √(L · D)        L the tokens of the sample, D the width
 *
 * Source   Jain et al. 2023 (NEFTune), arXiv:2310.05914, algorithm 1. L is the sample's own length, not that of a padded or packed row.
 */
import type { Random } from '../base/random.ts';

/** The largest noise that a number gets. */
export function neftuneBound(alpha: number, length: number, width: number): number {
  return alpha / Math.sqrt(length * width);
}

/** Noise for the embedded tokens of several samples, one after another. */
export function neftuneNoise(
  alpha: number,
  lengths: readonly number[],
  width: number,
  random: Random,
): Float32Array<ArrayBuffer> {
  const noise_ND = new Float32Array(lengths.reduce((a, b) => a + b, 0) * width);
  let at = 0;
  for (const length of lengths) {
    const bound = neftuneBound(alpha, length, width);
    for (const end = at + length * width; at < end; at++) noise_ND[at] = (2 * random.uniform() - 1) * bound;
  }
  return noise_ND;
}
