/**
 * Two bits a weight: eight neighbouring magnitudes of 8, 25, 43 come from a grid, signs are apart. 256 weights; eight sub-blocks of 32.
 *
 *   IQ2_XXS, 66 bytes (2.0625 bits a weight)
 *   byte 0        2                                          66
 *        | d f16  | 8 × (4 grid indices u8, 1 word u32)      |
 *
 *   word: 4 × 7 bits code the signs of 8 weights each (even: evenSigns), the highest 4 are the scale s of the 32
 *
 *   IQ2_XS, 74 bytes (2.3125 bits a weight)
 *   byte 0        2                                        66                74
 *        | d f16  | 32 u16: 9 bits of index, 7 of signs    | 16 × 4 bits s   |
 *
 *   IQ2_S, 82 bytes (2.5625 bits a weight)
 *   byte 0        2               34               66                 74                82
 *        | d f16  | 32 indices    | 32 × 8 signs   | 32 × 2 high bits | 16 × 4 bits s   |
 *        |        | low 8 bits    | (1: negative)  | of the indices   |                 |
 *
 *   x = d · (2s + 1)/8 · ±level         XS and S: s of 16 weights each, low half of a byte first
 *
 * Source  ggml-common.h `block_iq2_xxs`, `block_iq2_xs`, `block_iq2_s`; ggml-quants.c dequantize_row_iq2_*.
 */
import { dtypes } from '../../tensor/dtype.ts';
import { type Decoder, oneHalf, readF16, readU16, readU32 } from '../codec.ts';
import { evenSigns, gridOf } from './grids.ts';
import { levels } from './levels.ts';

const BLOCK_WEIGHTS = dtypes.IQ2_S.blockWeights;

export const iq2_XXS: Decoder = {
  scales: oneHalf(0),
  decode(bytes, out) {
    const grid = gridOf('IQ2_XXS');
    for (let at = 0, o = 0; o < out.length; at += dtypes.IQ2_XXS.blockBytes, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at);
      for (let s = 0; s < 8; s++) {
        const from = at + 2 + 8 * s;
        const word = readU32(bytes, from + 4);
        const scale = scaleOf(d, word >>> 28);
        for (let k = 0; k < 4; k++) {
          placeEight(out, o + 32 * s + 8 * k, scale, grid, bytes[from + k]!, evenSigns((word >>> (7 * k)) & 127));
        }
      }
    }
  },
};

export const iq2_XS: Decoder = {
  scales: oneHalf(0),
  decode(bytes, out) {
    const grid = gridOf('IQ2_XS');
    for (let at = 0, o = 0; o < out.length; at += dtypes.IQ2_XS.blockBytes, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at);
      for (let k = 0; k < 32; k++) {
        const word = readU16(bytes, at + 2 + 2 * k);
        const scale = scaleOf(d, nibble(bytes, at + 66, k >> 1));
        placeEight(out, o + 8 * k, scale, grid, word & 511, evenSigns(word >> 9));
      }
    }
  },
};

export const iq2_S: Decoder = {
  scales: oneHalf(0),
  decode(bytes, out) {
    const grid = gridOf('IQ2_S');
    for (let at = 0, o = 0; o < out.length; at += dtypes.IQ2_S.blockBytes, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at);
      for (let k = 0; k < 32; k++) {
        const high = (bytes[at + 66 + (k >> 2)]! >> (2 * (k & 3))) & 3;
        const scale = scaleOf(d, nibble(bytes, at + 74, k >> 1));
        placeEight(out, o + 8 * k, scale, grid, bytes[at + 2 + k]! | (high << 8), bytes[at + 34 + k]!);
      }
    }
  },
};

const scaleOf = (d: number, s: number) => (d * (2 * s + 1)) / 8;
const nibble = (bytes: Uint8Array, at: number, i: number) => (bytes[at + (i >> 1)]! >> (4 * (i & 1))) & 15;

// biome-ignore format: one line of parameters
function placeEight(out: Float32Array, to: number, scale: number, grid: Uint8Array, index: number, signs: number): void {
  for (let j = 0; j < 8; j++) out[to + j] = scale * levels.IQ2_S[grid[8 * index + j]! | (((signs >> j) & 1) << 3)]!;
}
