/**
 * MXFP4: 32 weights in 17 bytes (4.25 bits a weight), four-bit floating-point numbers under a power of two. What gpt-oss is published in.
 *
 *   byte 0     1                    17
 *        | e   | qs 16 bytes        |            x_i = 2^(e − 127) · E2M1(q_i)
 *
 * Byte j of qs holds weight j (low nibble) and weight j + 16 (high nibble); E2M1 is 0, ½, 1, 1½, 2, 3, 4, 6 and their negatives.
 *
 * Source  OCP Microscaling Formats (MX) v1.0 §5.3; ggml-common.h `block_mxfp4`, whose table is doubled and whose scale is halved.
 */
import { dtypes } from '../tensor/dtype.ts';
import type { Decoder } from './codec.ts';
import { levels } from './iq/levels.ts';

const { blockWeights: BLOCK_WEIGHTS, blockBytes: BLOCK_BYTES } = dtypes.MXFP4;
const HALF = BLOCK_WEIGHTS / 2;
/** From here on the largest weight is beyond f32; 255 stands for NaN. */
const FIRST_BAD_EXPONENT = 253;

export const mxfp4: Decoder = {
  scales: { type: 'coded', isBad: (bytes, at) => bytes[at]! >= FIRST_BAD_EXPONENT },
  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += BLOCK_BYTES, o += BLOCK_WEIGHTS) {
      const scale = 2 ** (bytes[at]! - 128);
      for (let j = 0; j < HALF; j++) {
        const pair = bytes[at + 1 + j]!;
        out[o + j] = scale * levels.MXFP4[pair & 15]!;
        out[o + j + HALF] = scale * levels.MXFP4[pair >>> 4]!;
      }
    }
  },
};
