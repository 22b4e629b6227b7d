/**
 * Four bits a weight on an uneven grid, denser around zero (levels.ts).
 *
 *   IQ4_NL, 18 bytes for 32 weights (4.5 bits a weight)
 *   byte 0        2                     18
 *        | d f16  | qs 16 bytes         |           x_i = d · level(q_i)
 *
 *   IQ4_XS, 136 bytes for 256 weights (4.25 bits a weight); eight sub-blocks of 32
 *   byte 0        2                4                8                      136
 *        | d f16  | 8 × 2 bits     | 8 × 4 bits     | 8 × 16 bytes qs      |
 *        |        | high of l      | low of l       |                      |
 *
 *   x_i = d · (l − 32) · level(q_i)
 *
 * Of 16 bytes qs, byte j holds weight j (low nibble) and weight j + 16 (high nibble).
 * How the scales are found: search-levels.ts.
 * Source  ggml-common.h `block_iq4_nl`, `block_iq4_xs`; ggml-quants.c dequantize_row_iq4_*.
 */
import { dtypes } from '../../tensor/dtype.ts';
import { type Codec, oneHalf, readF16, readU16, writeF16 } from '../codec.ts';
import { levels } from './levels.ts';
import { fitBlock, fitSuperBlock, placed } from './search-levels.ts';

const { blockWeights: NL_WEIGHTS, blockBytes: NL_BYTES } = dtypes.IQ4_NL;
const { blockWeights: XS_WEIGHTS, blockBytes: XS_BYTES } = dtypes.IQ4_XS;
const HALF = NL_WEIGHTS / 2;
const PARTS = XS_WEIGHTS / NL_WEIGHTS;
const XS_QS = 8;

export const iq4_NL: Codec = {
  scales: oneHalf(0),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += NL_BYTES, o += NL_WEIGHTS) {
      readNibbles(bytes, at + 2, out, o, readF16(bytes, at));
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += NL_BYTES, o += NL_WEIGHTS) {
      fitBlock(weights, importance, o);
      writeF16(bytes, at, placed.d, o);
      writeNibbles(bytes, at + 2, 0);
    }
  },
};

export const iq4_XS: Codec = {
  scales: oneHalf(0),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += XS_BYTES, o += XS_WEIGHTS) {
      const d = readF16(bytes, at);
      const high = readU16(bytes, at + 2);
      for (let s = 0; s < PARTS; s++) {
        const low = (bytes[at + 4 + (s >> 1)]! >> (4 * (s & 1))) & 15;
        const l = low | (((high >> (2 * s)) & 3) << 4);
        readNibbles(bytes, at + XS_QS + HALF * s, out, o + NL_WEIGHTS * s, d * (l - 32));
      }
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += XS_BYTES, o += XS_WEIGHTS) {
      fitSuperBlock(weights, importance, o);
      writeF16(bytes, at, placed.d, o);
      let high = 0;
      for (let s = 0; s < PARTS; s += 2) {
        const [one, two] = [placed.scales[s]! + 32, placed.scales[s + 1]! + 32];
        bytes[at + 4 + (s >> 1)] = (one & 15) | ((two & 15) << 4);
        high |= ((one >> 4) << (2 * s)) | ((two >> 4) << (2 * s + 2));
      }
      bytes[at + 2] = high & 255;
      bytes[at + 3] = high >> 8;
      for (let s = 0; s < PARTS; s++) writeNibbles(bytes, at + XS_QS + HALF * s, NL_WEIGHTS * s);
    }
  },
};

function readNibbles(bytes: Uint8Array, at: number, out: Float32Array, o: number, scale: number): void {
  for (let j = 0; j < HALF; j++) {
    const pair = bytes[at + j]!;
    out[o + j] = scale * levels.IQ4_NL[pair & 15]!;
    out[o + j + HALF] = scale * levels.IQ4_NL[pair >>> 4]!;
  }
}

/** The codes of 32 weights, the first of them `first`. */
function writeNibbles(bytes: Uint8Array, at: number, first: number): void {
  for (let j = 0; j < HALF; j++) bytes[at + j] = placed.codes[first + j]! | (placed.codes[first + j + HALF]! << 4);
}
