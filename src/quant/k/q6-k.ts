/**
 * Q6_K: 256 weights in 210 bytes (6.5625 bits a weight); 16 sub-blocks of 16, symmetric, 8-bit scales.
 *
 *   byte 0              128           192             208      210
 *        | ql 128       | qh 64       | scales int8   | d f16  |
 *
 *   x = d · l_j · (q − 32)          q in 0 … 63, l in −128 … 127, j = ⌊i/16⌋
 *   weight i = 128h + 32k + r (r < 32): low four bits of q are nibble ⌊k/2⌋ of ql[64h + 32(k mod 2) + r],
 *   the high two are bits 2k, 2k+1 of qh[32h + r]
 *
 * Numbers  |error| ≤ |d·l_j|/2 inside the grid of −32 … 31 steps; how d and l are found: super-block.ts.
 * Source   ggml-common.h `block_q6_K`.
 */
import { dtypes } from '../../tensor/dtype.ts';
import { type Codec, oneHalf, readF16, writeF16 } from '../codec.ts';
import { createSuperBlock, type Grid, SUPER_BLOCK } from './super-block.ts';
import { fitSymmetric } from './super-symmetric.ts';

const BLOCK_BYTES = dtypes.Q6_K.blockBytes;
const QH = 128;
const SCALES = 192;
const D = 208;
const grid: Grid = { partWeights: 16, top: 32, scaleTop: 128 };
const block = createSuperBlock();

export const q6_K: Codec = {
  scales: oneHalf(D),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += BLOCK_BYTES, o += SUPER_BLOCK) {
      const d = readF16(bytes, at + D);
      for (let j = 0; j < 16; j++) {
        const scale = d * ((bytes[at + SCALES + j]! << 24) >> 24);
        const low = at + 64 * (j >>> 3) + 16 * (j & 3);
        const nibble = j & 4;
        const high = at + QH + 32 * (j >>> 3) + 16 * (j & 1);
        const shift = j & 6;
        const to = o + 16 * j;
        for (let i = 0; i < 16; i++) {
          const q = ((bytes[low + i]! >>> nibble) & 15) | (((bytes[high + i]! >>> shift) & 3) << 4);
          out[to + i] = scale * (q - 32);
        }
      }
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += BLOCK_BYTES, o += SUPER_BLOCK) {
      fitSymmetric(block, grid, weights, importance, o);
      const { codes: q, scales } = block;
      for (let k = 0; k < 128; k++) {
        const i = k + 64 * (k >>> 6);
        bytes[at + k] = (q[i]! & 15) | ((q[i + 64]! & 15) << 4);
      }
      for (let r = 0; r < 64; r++) {
        const i = r + 96 * (r >>> 5);
        bytes[at + QH + r] =
          (q[i]! >>> 4) | ((q[i + 32]! >>> 4) << 2) | ((q[i + 64]! >>> 4) << 4) | ((q[i + 96]! >>> 4) << 6);
      }
      for (let j = 0; j < 16; j++) bytes[at + SCALES + j] = scales[j]! - 128;
      writeF16(bytes, at + D, block.d, o);
    }
  },
};
