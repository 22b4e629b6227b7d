/**
 * Five bits a weight in blocks of 32: the low four as in q4.ts, the fifth of weight i is bit i of qh.
 *
 *   Q5_0, 22 bytes (5.5 bits a weight)
 *   byte 0        2            6                     22
 *        | d f16  | qh u32     | qs 16 bytes         |            x_i = d · (q_i − 16)
 *
 *   Q5_1, 24 bytes (6 bits a weight)
 *   byte 0        2        4            8                     24
 *        | d f16  | m f16  | qh u32     | qs 16 bytes         |   x_i = d · q_i + m        q in 0 … 31
 *
 * Numbers  Q5_0: |error| ≤ |d|/2, and ≤ |d| at the end of the sign opposite to the extreme weight's, which the grid lacks.
 *          Q5_1: |error| ≤ d/2. Both plus the f16 rounding of d and m. How d and m are found: grid.ts.
 * Source   ggml-common.h `block_q5_0`, `block_q5_1`.
 */
import { dtypes } from '../tensor/dtype.ts';
import { type Codec, oneHalf, readF16, writeF16 } from './codec.ts';
import { grid, placeAffine, placeSymmetric } from './grid.ts';

const BLOCK_WEIGHTS = dtypes.Q5_0.blockWeights;
const HALF = BLOCK_WEIGHTS / 2;
const Q5_0_BYTES = dtypes.Q5_0.blockBytes;
const Q5_1_BYTES = dtypes.Q5_1.blockBytes;

export const q5_0: Codec = {
  scales: oneHalf(0),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += Q5_0_BYTES, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at);
      const high = readU32(bytes, at + 2);
      for (let j = 0; j < HALF; j++) {
        const pair = bytes[at + 6 + j]!;
        out[o + j] = d * (((pair & 15) | (((high >>> j) & 1) << 4)) - 16);
        out[o + j + HALF] = d * (((pair >>> 4) | (((high >>> (j + HALF)) & 1) << 4)) - 16);
      }
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += Q5_0_BYTES, o += BLOCK_WEIGHTS) {
      placeSymmetric(weights, importance, o, 16);
      writeF16(bytes, at, grid.step, o);
      writeFiveBits(bytes, at + 2);
    }
  },
};

export const q5_1: Codec = {
  scales: oneHalf(0, 2),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += Q5_1_BYTES, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at);
      const m = readF16(bytes, at + 2);
      const high = readU32(bytes, at + 4);
      for (let j = 0; j < HALF; j++) {
        const pair = bytes[at + 8 + j]!;
        out[o + j] = d * ((pair & 15) | (((high >>> j) & 1) << 4)) + m;
        out[o + j + HALF] = d * ((pair >>> 4) | (((high >>> (j + HALF)) & 1) << 4)) + m;
      }
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += Q5_1_BYTES, o += BLOCK_WEIGHTS) {
      placeAffine(weights, importance, o, 31);
      writeF16(bytes, at, grid.step, o);
      writeF16(bytes, at + 2, grid.offset, o);
      writeFiveBits(bytes, at + 4);
    }
  },
};

function readU32(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24);
}

function writeFiveBits(bytes: Uint8Array, at: number): void {
  let high = 0;
  for (let i = 0; i < BLOCK_WEIGHTS; i++) high |= (grid.codes[i]! >>> 4) << i;
  for (let i = 0; i < 4; i++) bytes[at + i] = (high >>> (8 * i)) & 255;
  for (let j = 0; j < HALF; j++) bytes[at + 4 + j] = (grid.codes[j]! & 15) | ((grid.codes[j + HALF]! & 15) << 4);
}
