/**
 * Q2_K: 256 weights in 84 bytes (2.625 bits a weight); 16 sub-blocks of 16, affine, 4-bit scales and minima.
 *
 *   byte 0             16             80       82         84
 *        | scales 16   | qs 64        | d f16  | dmin f16 |
 *
 *   scales[j] = l_j | m_j << 4          x = d·l_j · q − dmin·m_j          q in 0 … 3, j = ⌊i/16⌋
 *   qs: weight i = 128h + 32k + r (r < 32) is bits 2k, 2k+1 of byte 32h + r
 *
 * Numbers  |error| ≤ d·l_j/2 inside the sub-block's grid, 0 … 3 steps above its minimum; how d, dmin, l, m are found: super-block.ts.
 * Source   ggml-common.h `block_q2_K`.
 */
import { dtypes } from '../../tensor/dtype.ts';
import { type Codec, oneHalf, readF16, writeF16 } from '../codec.ts';
import { fitAffine } from './super-affine.ts';
import { createSuperBlock, type Grid, SUPER_BLOCK } from './super-block.ts';

const BLOCK_BYTES = dtypes.Q2_K.blockBytes;
const QS = 16;
const D = 80;
const DMIN = 82;
const grid: Grid = { partWeights: 16, top: 3, scaleTop: 15 };
const block = createSuperBlock();

export const q2_K: Codec = {
  scales: oneHalf(D, DMIN),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += BLOCK_BYTES, o += SUPER_BLOCK) {
      const d = readF16(bytes, at + D);
      const dmin = readF16(bytes, at + DMIN);
      for (let j = 0; j < 16; j++) {
        const scale = d * (bytes[at + j]! & 15);
        const min = dmin * (bytes[at + j]! >>> 4);
        const from = at + QS + 32 * (j >>> 3) + 16 * (j & 1);
        const shift = j & 6;
        const to = o + 16 * j;
        for (let i = 0; i < 16; i++) out[to + i] = scale * ((bytes[from + i]! >>> shift) & 3) - min;
      }
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += BLOCK_BYTES, o += SUPER_BLOCK) {
      fitAffine(block, grid, weights, importance, o);
      const { codes: q, scales, mins } = block;
      for (let j = 0; j < 16; j++) bytes[at + j] = scales[j]! | (mins[j]! << 4);
      for (let r = 0; r < 64; r++) {
        const i = r + 96 * (r >>> 5);
        bytes[at + QS + r] = q[i]! | (q[i + 32]! << 2) | (q[i + 64]! << 4) | (q[i + 96]! << 6);
      }
      writeF16(bytes, at + D, block.d, o);
      writeF16(bytes, at + DMIN, block.dmin, o);
    }
  },
};
