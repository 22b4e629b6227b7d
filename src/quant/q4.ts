/**
 * Four bits a weight in blocks of 32; byte j of qs holds weight j (low nibble) and weight j + 16 (high nibble).
 *
 *   Q4_0, 18 bytes (4.5 bits a weight)
 *   byte 0        2                     18
 *        | d f16  | qs 16 bytes         |           x_i = d · (q_i − 8)
 *
 *   Q4_1, 20 bytes (5 bits a weight)
 *   byte 0        2        4                     20
 *        | d f16  | m f16  | qs 16 bytes         |  x_i = d · q_i + m        q in 0 … 15
 *
 * Numbers  Q4_0: |error| ≤ |d|/2, and ≤ |d| at the end of the sign opposite to the extreme weight's, which the grid lacks.
 *          Q4_1: |error| ≤ d/2. Both plus the f16 rounding of d and m. How d and m are found: grid.ts.
 * Source   ggml-common.h `block_q4_0`, `block_q4_1`.
 */
import { dtypes } from '../tensor/dtype.ts';
import { type Codec, oneHalf, readF16, writeF16 } from './codec.ts';
import { grid, placeAffine, placeSymmetric } from './grid.ts';

const BLOCK_WEIGHTS = dtypes.Q4_0.blockWeights;
const HALF = BLOCK_WEIGHTS / 2;
const Q4_0_BYTES = dtypes.Q4_0.blockBytes;
const Q4_1_BYTES = dtypes.Q4_1.blockBytes;

export const q4_0: Codec = {
  scales: oneHalf(0),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += Q4_0_BYTES, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at);
      for (let j = 0; j < HALF; j++) {
        const pair = bytes[at + 2 + j]!;
        out[o + j] = d * ((pair & 15) - 8);
        out[o + j + HALF] = d * ((pair >>> 4) - 8);
      }
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += Q4_0_BYTES, o += BLOCK_WEIGHTS) {
      placeSymmetric(weights, importance, o, 8);
      writeF16(bytes, at, grid.step, o);
      writeNibbles(bytes, at + 2);
    }
  },
};

export const q4_1: Codec = {
  scales: oneHalf(0, 2),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += Q4_1_BYTES, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at);
      const m = readF16(bytes, at + 2);
      for (let j = 0; j < HALF; j++) {
        const pair = bytes[at + 4 + j]!;
        out[o + j] = d * (pair & 15) + m;
        out[o + j + HALF] = d * (pair >>> 4) + m;
      }
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += Q4_1_BYTES, o += BLOCK_WEIGHTS) {
      placeAffine(weights, importance, o, 15);
      writeF16(bytes, at, grid.step, o);
      writeF16(bytes, at + 2, grid.offset, o);
      writeNibbles(bytes, at + 4);
    }
  },
};

function writeNibbles(bytes: Uint8Array, at: number): void {
  for (let j = 0; j < HALF; j++) bytes[at + j] = grid.codes[j]! | (grid.codes[j + HALF]! << 4);
}
