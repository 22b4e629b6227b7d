/**
 * Three bits a weight: four neighbouring magnitudes come from a grid, signs are apart. 256 weights; eight sub-blocks of 32.
 *
 *   IQ3_XXS, 98 bytes (3.0625 bits a weight)
 *   byte 0        2                      66                    98
 *        | d f16  | 64 grid indices u8   | 8 words u32         |
 *
 *   word of a sub-block: 4 × 7 bits code the signs of 8 weights each (even: evenSigns), the highest 4 are the scale s
 *   x = d · (2s + 1)/4 · ±level                   levels 4, 12 … 52, 62
 *
 *   IQ3_S, 110 bytes (3.4375 bits a weight)
 *   byte 0        2               66              74               106               110
 *        | d f16  | 64 indices    | 8 × 8 ninth   | 32 × 8 signs   | 8 × 4 bits s     |
 *        |        | low 8 bits    | bits          | (1: negative)  | (low half first) |
 *
 *   x = d · (2s + 1) · ±level                     levels 1, 3 … 15
 *
 * Source  ggml-common.h `block_iq3_xxs`, `block_iq3_s`; ggml-quants.c dequantize_row_iq3_*.
 */
import { dtypes } from '../../tensor/dtype.ts';
import { type Decoder, oneHalf, readF16, readU32 } from '../codec.ts';
import { evenSigns, gridOf } from './grids.ts';
import { levels } from './levels.ts';

const BLOCK_WEIGHTS = dtypes.IQ3_S.blockWeights;

export const iq3_XXS: Decoder = {
  scales: oneHalf(0),
  decode(bytes, out) {
    const grid = gridOf('IQ3_XXS');
    for (let at = 0, o = 0; o < out.length; at += dtypes.IQ3_XXS.blockBytes, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at);
      for (let s = 0; s < 8; s++) {
        const word = readU32(bytes, at + 66 + 4 * s);
        const scale = (d * (2 * (word >>> 28) + 1)) / 4;
        for (let k = 0; k < 8; k++) {
          const signs = evenSigns((word >>> (7 * (k >> 1))) & 127) >> (4 * (k & 1));
          placeFour(out, o + 32 * s + 4 * k, scale, levels.IQ3_XXS, grid, bytes[at + 2 + 8 * s + k]!, signs);
        }
      }
    }
  },
};

export const iq3_S: Decoder = {
  scales: oneHalf(0),
  decode(bytes, out) {
    const grid = gridOf('IQ3_S');
    for (let at = 0, o = 0; o < out.length; at += dtypes.IQ3_S.blockBytes, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at);
      for (let s = 0; s < 8; s++) {
        const scale = d * (2 * ((bytes[at + 106 + (s >> 1)]! >> (4 * (s & 1))) & 15) + 1);
        const ninth = bytes[at + 66 + s]!;
        for (let k = 0; k < 8; k++) {
          const index = bytes[at + 2 + 8 * s + k]! | (((ninth >> k) & 1) << 8);
          const signs = bytes[at + 74 + 4 * s + (k >> 1)]! >> (4 * (k & 1));
          placeFour(out, o + 32 * s + 4 * k, scale, levels.IQ3_S, grid, index, signs);
        }
      }
    }
  },
};

// biome-ignore format: one line of parameters
function placeFour(
  out: Float32Array, to: number, scale: number, level: Int8Array, grid: Uint8Array, index: number, signs: number,
): void {
  for (let j = 0; j < 4; j++) out[to + j] = scale * level[grid[4 * index + j]! | (((signs >> j) & 1) << 3)]!;
}
