/**
 * Weights of −1, 0, 1 times one scale, as BitNet and its kin train them. 256 weights.
 *
 *   TQ1_0, 54 bytes (1.6875 bits a weight): five weights a byte, as a fraction in base 3
 *   byte 0               32              48          52        54
 *        | 5 × 32        | 5 × 16        | 4 × 4     | d f16   |
 *
 *   The n-th weight of a byte is the n-th digit behind the point of byte/256 in base 3: digit = ⌊3 · (byte·3ⁿ mod 256) / 256⌋.
 *   Neighbouring bytes hold neighbouring weights: of the first 32 bytes, digit n of byte m is weight 32n + m.
 *
 *   TQ2_0, 66 bytes (2.0625 bits a weight): two bits a weight
 *   byte 0                               64        66
 *        | 2 × (4 × 32)                  | d f16   |     bits 2n of byte m of a half hold its weight 32n + m
 *
 *   x = d · (digit − 1)
 *
 * Source  ggml-common.h `block_tq1_0`, `block_tq2_0`; ggml-quants.c dequantize_row_tq*.
 */
import { dtypes } from '../tensor/dtype.ts';
import { type Decoder, oneHalf, readF16 } from './codec.ts';

const BLOCK_WEIGHTS = dtypes.TQ1_0.blockWeights;
/** Bytes of one run, and digits that each of them holds. */
const runs = [
  { bytes: 32, digits: 5 },
  { bytes: 16, digits: 5 },
  { bytes: 4, digits: 4 },
] as const;

export const tq1_0: Decoder = {
  scales: oneHalf(52),
  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += dtypes.TQ1_0.blockBytes, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at + 52);
      let from = at;
      let to = o;
      for (const run of runs) {
        for (let n = 0, power = 1; n < run.digits; n++, power *= 3) {
          for (let m = 0; m < run.bytes; m++) {
            const digit = (3 * ((bytes[from + m]! * power) & 255)) >> 8;
            out[to++] = d * (digit - 1);
          }
        }
        from += run.bytes;
      }
    }
  },
};

export const tq2_0: Decoder = {
  scales: oneHalf(64),
  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += dtypes.TQ2_0.blockBytes, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at + 64);
      for (let i = 0; i < BLOCK_WEIGHTS; i++) {
        const pair = bytes[at + 32 * (i >> 7) + (i & 31)]! >> (2 * ((i >> 5) & 3));
        out[o + i] = d * ((pair & 3) - 1);
      }
    }
  },
};
