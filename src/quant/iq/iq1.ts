/**
 * One and a half bits a weight: eight neighbouring −1, 0, 1 come from a grid of 2,048, and all of them are shifted by ⅛ up or down.
 * 256 weights; eight sub-blocks of 32.
 *
 *   IQ1_S, 50 bytes (1.5625 bits a weight)
 *   byte 0        2               34                    50
 *        | d f16  | 32 indices    | 8 words u16         |
 *        |        | low 8 bits    |                     |
 *
 *   word of a sub-block: 4 × 3 high bits of the indices, 3 bits scale s, 1 bit: all 32 are shifted down
 *
 *   IQ1_M, 56 bytes (1.75 bits a weight)
 *   byte 0               32                    48                56
 *        | 32 indices    | 32 × 4 bits         | 4 words u16     |
 *        | low 8 bits    |                     |                 |
 *
 *   4 bits: 3 high bits of the index, 1 bit: these 8 are shifted down (low half of a byte first)
 *   word w: 4 × 3 bits s of 16 weights each, and 4 of the 16 bits of d as f16, the lowest in the first word
 *
 *   x = d · (2s + 1) · (q ± ⅛)
 *
 * Source  ggml-common.h `block_iq1_s`, `block_iq1_m`; ggml-quants.c dequantize_row_iq1_*.
 */
import { f16ToF32 } from '../../base/f16.ts';
import { dtypes } from '../../tensor/dtype.ts';
import { type Decoder, oneHalf, readF16, readU16 } from '../codec.ts';
import { gridOf } from './grids.ts';
import { levels } from './levels.ts';

const BLOCK_WEIGHTS = dtypes.IQ1_S.blockWeights;
const IQ1_M_WORDS = 48;

export const iq1_S: Decoder = {
  scales: oneHalf(0),
  decode(bytes, out) {
    const grid = gridOf('IQ1_S');
    for (let at = 0, o = 0; o < out.length; at += dtypes.IQ1_S.blockBytes, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at);
      for (let s = 0; s < 8; s++) {
        const word = readU16(bytes, at + 34 + 2 * s);
        const scale = scaleOf(d, (word >> 12) & 7);
        for (let k = 0; k < 4; k++) {
          const index = bytes[at + 2 + 4 * s + k]! | (((word >> (3 * k)) & 7) << 8);
          placeEight(out, o + 32 * s + 8 * k, scale, grid, index, word >> 15);
        }
      }
    }
  },
};

export const iq1_M: Decoder = {
  scales: {
    type: 'coded',
    isBad: (bytes, at) => (halfBits(bytes, at) & 0x7c00) === 0x7c00,
  },
  decode(bytes, out) {
    const grid = gridOf('IQ1_S');
    for (let at = 0, o = 0; o < out.length; at += dtypes.IQ1_M.blockBytes, o += BLOCK_WEIGHTS) {
      const d = f16ToF32(halfBits(bytes, at));
      for (let k = 0; k < 32; k++) {
        const high = bytes[at + 32 + (k >> 1)]! >> (4 * (k & 1));
        const part = k >> 1;
        const s = (readU16(bytes, at + IQ1_M_WORDS + 2 * (part >> 2)) >> (3 * (part & 3))) & 7;
        placeEight(out, o + 8 * k, scaleOf(d, s), grid, bytes[at + k]! | ((high & 7) << 8), (high >> 3) & 1);
      }
    }
  },
};

const scaleOf = (d: number, s: number) => (d * (2 * s + 1)) / 8;

/** The f16 that is spread over the four words. */
function halfBits(bytes: Uint8Array, at: number): number {
  let bits = 0;
  for (let w = 0; w < 4; w++) bits |= (bytes[at + IQ1_M_WORDS + 2 * w + 1]! >> 4) << (4 * w);
  return bits;
}

// biome-ignore format: one line of parameters
function placeEight(out: Float32Array, to: number, scale: number, grid: Uint8Array, index: number, down: number): void {
  for (let j = 0; j < 8; j++) out[to + j] = scale * levels.IQ1_S[grid[8 * index + j]! | (down << 3)]!;
}
