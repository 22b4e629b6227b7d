/**
 * Q3_K: 256 weights in 110 bytes (3.4375 bits a weight); 16 sub-blocks of 16, symmetric, 6-bit scales.
 *
 *   byte 0            32             96             108      110
 *        | hmask 32   | qs 64        | scales 12    | d f16  |
 *
 *   x = d · (l_j − 32) · (q − 4)          q in 0 … 7, l in 0 … 63, j = ⌊i/16⌋
 *   weight i = 128h + 32k + r (r < 32): low two bits of q are bits 2k, 2k+1 of qs[32h + r], the third is bit 4h + k of hmask[r]
 *   scales: l_j's low four bits are nibble ⌊j/8⌋ of byte j mod 8, its high two are bits 2⌊j/4⌋, 2⌊j/4⌋+1 of byte 8 + j mod 4
 *
 * Numbers  |error| ≤ |d·(l_j − 32)|/2 inside the grid of −4 … 3 steps; how d and l are found: super-block.ts.
 * Source   ggml-common.h `block_q3_K`.
 */
import { dtypes } from '../../tensor/dtype.ts';
import { type Codec, oneHalf, readF16, writeF16 } from '../codec.ts';
import { createSuperBlock, type Grid, SUPER_BLOCK } from './super-block.ts';
import { fitSymmetric } from './super-symmetric.ts';

const BLOCK_BYTES = dtypes.Q3_K.blockBytes;
const QS = 32;
const SCALES = 96;
const D = 108;
const grid: Grid = { partWeights: 16, top: 4, scaleTop: 32 };
const block = createSuperBlock();

export const q3_K: Codec = {
  scales: oneHalf(D),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += BLOCK_BYTES, o += SUPER_BLOCK) {
      const d = readF16(bytes, at + D);
      for (let j = 0; j < 16; j++) {
        const low = (bytes[at + SCALES + (j & 7)]! >>> (4 * (j >>> 3))) & 15;
        const high = (bytes[at + SCALES + 8 + (j & 3)]! >>> (2 * (j >>> 2))) & 3;
        const scale = d * ((low | (high << 4)) - 32);
        const mask = at + 16 * (j & 1);
        const from = mask + QS + 32 * (j >>> 3);
        const shift = j & 6;
        const bit = j >>> 1;
        const to = o + 16 * j;
        for (let i = 0; i < 16; i++) {
          const q = ((bytes[from + i]! >>> shift) & 3) | (((bytes[mask + i]! >>> bit) & 1) << 2);
          out[to + i] = scale * (q - 4);
        }
      }
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += BLOCK_BYTES, o += SUPER_BLOCK) {
      fitSymmetric(block, grid, weights, importance, o);
      const { codes: q, scales } = block;
      for (let r = 0; r < 32; r++) {
        let mask = 0;
        for (let k = 0; k < 8; k++) mask |= (q[32 * k + r]! >>> 2) << k;
        bytes[at + r] = mask;
      }
      for (let r = 0; r < 64; r++) {
        const i = r + 96 * (r >>> 5);
        bytes[at + QS + r] = (q[i]! & 3) | ((q[i + 32]! & 3) << 2) | ((q[i + 64]! & 3) << 4) | ((q[i + 96]! & 3) << 6);
      }
      for (let k = 0; k < 8; k++) bytes[at + SCALES + k] = (scales[k]! & 15) | ((scales[k + 8]! & 15) << 4);
      for (let k = 0; k < 4; k++) {
        let high = 0;
        for (let j = k; j < 16; j += 4) high |= (scales[j]! >>> 4) << (2 * (j >>> 2));
        bytes[at + SCALES + 8 + k] = high;
      }
      writeF16(bytes, at + D, block.d, o);
    }
  },
};
