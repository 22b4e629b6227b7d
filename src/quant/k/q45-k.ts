/**
 * Q4_K and Q5_K: 256 weights, 8 sub-blocks of 32, affine, 6-bit scales and minima.
 *
 *   Q4_K, 144 bytes (4.5 bits a weight)
 *   byte 0        2          4              16                          144
 *        | d f16  | dmin f16 | scales 12    | qs 128                    |
 *
 *   Q5_K, 176 bytes (5.5 bits a weight)
 *   byte 0        2          4              16          48                          176
 *        | d f16  | dmin f16 | scales 12    | qh 32     | qs 128                    |
 *
 *   x = d·l_j · q − dmin·m_j          q in 0 … 15 or 31, j = ⌊i/32⌋
 *   weight i = 64c + 32n + r (r < 32): low four bits of q are nibble n of qs[32c + r]; Q5_K's fifth is bit j of qh[r]
 *   scales, the bytes s: l_j = s[j] & 63, m_j = s[j + 4] & 63 for j < 4; for j ≥ 4 the low four bits of l_j and m_j are
 *   the low and high nibble of s[j + 4], and their high two bits are the top two of s[j − 4] and s[j]
 *
 * Numbers  |error| ≤ d·l_j/2 inside the sub-block's grid above its minimum; how d, dmin, l, m are found: super-block.ts.
 * Source   ggml-common.h `block_q4_K`, `block_q5_K`; ggml-quants.c get_scale_min_k4.
 */
import { dtypes } from '../../tensor/dtype.ts';
import { type Codec, oneHalf, readF16, writeF16 } from '../codec.ts';
import { fitAffine } from './super-affine.ts';
import { createSuperBlock, type Grid, SUPER_BLOCK } from './super-block.ts';

const Q4_K_BYTES = dtypes.Q4_K.blockBytes;
const Q5_K_BYTES = dtypes.Q5_K.blockBytes;
const D = 0;
const DMIN = 2;
const SCALES = 4;
const Q4_K_QS = 16;
const Q5_K_QH = 16;
const Q5_K_QS = 48;
const PARTS = 8;
const q4Grid: Grid = { partWeights: 32, top: 15, scaleTop: 63 };
const q5Grid: Grid = { partWeights: 32, top: 31, scaleTop: 63 };
const block = createSuperBlock();

export const q4_K: Codec = {
  scales: oneHalf(D, DMIN),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += Q4_K_BYTES, o += SUPER_BLOCK) {
      const d = readF16(bytes, at + D);
      const dmin = readF16(bytes, at + DMIN);
      for (let j = 0; j < PARTS; j++) {
        const scale = d * readScale(bytes, at + SCALES, j);
        const min = dmin * readMin(bytes, at + SCALES, j);
        const from = at + Q4_K_QS + 32 * (j >>> 1);
        const shift = 4 * (j & 1);
        const to = o + 32 * j;
        for (let i = 0; i < 32; i++) out[to + i] = scale * ((bytes[from + i]! >>> shift) & 15) - min;
      }
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += Q4_K_BYTES, o += SUPER_BLOCK) {
      fitAffine(block, q4Grid, weights, importance, o);
      writeF16(bytes, at + D, block.d, o);
      writeF16(bytes, at + DMIN, block.dmin, o);
      writeScalesAndMins(bytes, at + SCALES);
      writeNibbles(bytes, at + Q4_K_QS);
    }
  },
};

export const q5_K: Codec = {
  scales: oneHalf(D, DMIN),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += Q5_K_BYTES, o += SUPER_BLOCK) {
      const d = readF16(bytes, at + D);
      const dmin = readF16(bytes, at + DMIN);
      for (let j = 0; j < PARTS; j++) {
        const scale = d * readScale(bytes, at + SCALES, j);
        const min = dmin * readMin(bytes, at + SCALES, j);
        const high = at + Q5_K_QH;
        const from = at + Q5_K_QS + 32 * (j >>> 1);
        const shift = 4 * (j & 1);
        const to = o + 32 * j;
        for (let i = 0; i < 32; i++) {
          const q = ((bytes[from + i]! >>> shift) & 15) | (((bytes[high + i]! >>> j) & 1) << 4);
          out[to + i] = scale * q - min;
        }
      }
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += Q5_K_BYTES, o += SUPER_BLOCK) {
      fitAffine(block, q5Grid, weights, importance, o);
      writeF16(bytes, at + D, block.d, o);
      writeF16(bytes, at + DMIN, block.dmin, o);
      writeScalesAndMins(bytes, at + SCALES);
      for (let r = 0; r < 32; r++) {
        let high = 0;
        for (let j = 0; j < PARTS; j++) high |= (block.codes[32 * j + r]! >>> 4) << j;
        bytes[at + Q5_K_QH + r] = high;
      }
      writeNibbles(bytes, at + Q5_K_QS);
    }
  },
};

function readScale(bytes: Uint8Array, at: number, j: number): number {
  return j < 4 ? bytes[at + j]! & 63 : (bytes[at + j + 4]! & 15) | ((bytes[at + j - 4]! >>> 6) << 4);
}

function readMin(bytes: Uint8Array, at: number, j: number): number {
  return j < 4 ? bytes[at + j + 4]! & 63 : (bytes[at + j + 4]! >>> 4) | ((bytes[at + j]! >>> 6) << 4);
}

function writeScalesAndMins(bytes: Uint8Array, at: number): void {
  const { scales: l, mins: m } = block;
  for (let j = 0; j < 4; j++) {
    bytes[at + j] = l[j]! | ((l[j + 4]! >>> 4) << 6);
    bytes[at + j + 4] = m[j]! | ((m[j + 4]! >>> 4) << 6);
    bytes[at + j + 8] = (l[j + 4]! & 15) | ((m[j + 4]! & 15) << 4);
  }
}

function writeNibbles(bytes: Uint8Array, at: number): void {
  for (let k = 0; k < SUPER_BLOCK / 2; k++) {
    const i = k + 32 * (k >>> 5);
    bytes[at + k] = (block.codes[i]! & 15) | ((block.codes[i + 32]! & 15) << 4);
  }
}
