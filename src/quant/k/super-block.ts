/**
 * Super-blocks of 256 weights: sub-blocks whose scales (and minima) are themselves small integers times one f16.
 *
 *   affine      x ≈ d·l_j · q − dmin·m_j       q in 0 … top              l_j, m_j in 0 … scaleTop       (Q2_K, Q4_K, Q5_K)
 *   symmetric   x ≈ d·l_j · q                  q in −top … top − 1       l_j in −scaleTop … scaleTop − 1     (Q3_K, Q6_K)
 *
 * Files: super-affine.ts and super-symmetric.ts fit one super-block of either shape, after this plan; here is what they share.
 * The search has three steps, each a least-squares problem and none of which raises the error:
 *   1. the best real scale and minimum of every sub-block (search.ts); the largest ones fix d and dmin;
 *   2. per sub-block the best integers near them: for l one below, at and above, the best m for those codes in closed form;
 *   3. with codes and integers fixed, the best d and dmin over the whole super-block; then 2 again, kept if it is better.
 * llama.cpp's search (make_qkx2_quants, make_qx_quants, make_q3_quants) has step 1 only and then rounds.
 *
 * Numbers  f64 throughout; d and dmin are f16 values from the start, so that the error is that of what is stored.
 * Cost     about 18 passes over the weights; what it buys is measured in super-block.test.ts.
 */
import { f16ToF32, f32ToF16 } from '../../base/f16.ts';
import { dtypes } from '../../tensor/dtype.ts';
import { toF16 } from '../codec.ts';

export const SUPER_BLOCK = dtypes.Q4_K.blockWeights;
/** How often steps 2 and 3 follow each other at most. */
export const REFITS = 2;

/** A fitted super-block, ready to be packed. One object per encoder, so that a row allocates nothing. */
export interface SuperBlock {
  /** f16 values. */
  d: number;
  dmin: number;
  /** l_j as stored (symmetric: plus scaleTop) and m_j, per sub-block. */
  readonly scales: Uint8Array;
  readonly mins: Uint8Array;
  /** q as stored (symmetric: plus top), per weight. */
  readonly codes: Uint8Array;
}

export function createSuperBlock(): SuperBlock {
  return { d: 0, dmin: 0, scales: new Uint8Array(16), mins: new Uint8Array(16), codes: new Uint8Array(SUPER_BLOCK) };
}

export interface Grid {
  /** Weights per sub-block: 16 or 32. */
  readonly partWeights: number;
  readonly top: number;
  readonly scaleTop: number;
}

/** Infinite where f16 ends; a trial with it has no error that beats anything. */
export function nearestF16(value: number): number {
  return f16ToF32(f32ToF16(value));
}

/** The f16 unit whose `scaleTop`-fold reaches `largest`: rounded up where f16 is subnormal and coarse. */
export function unitFor(largest: number, scaleTop: number, first: number): number {
  if (largest === 0) return 0;
  let bits = toF16(largest / scaleTop, first);
  while (f16ToF32(bits) * (scaleTop + 0.5) < largest) bits++;
  return f16ToF32(bits);
}
