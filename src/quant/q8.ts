/**
 * Q8_0: 32 weights in 34 bytes (8.5 bits a weight), one step for both signs.
 *
 *   byte 0        2                              34
 *        | d f16  | q₀ q₁ … q₃₁  int8            |        x_i = d · q_i        q in −127 … 127
 *
 * Numbers  d = max|x| / 127 in f32; q = x/d rounded half away from zero, as ggml does, so that files agree bit for bit.
 *          With importance, d minimises Σ importance·(x − d·q)² instead.
 *          |error| ≤ d/2 + |x|·2⁻¹¹ (the f16 rounding of d).
 * Source   ggml-common.h `block_q8_0`.
 */
import { f16ToF32 } from '../base/f16.ts';
import { dtypes } from '../tensor/dtype.ts';
import { type Codec, inverseOf, oneHalf, readF16, toF16, writeF16 } from './codec.ts';
import { searchSymmetricBlock } from './search.ts';

const { blockWeights: BLOCK_WEIGHTS, blockBytes: BLOCK_BYTES } = dtypes.Q8_0;

export const q8_0: Codec = {
  scales: oneHalf(0),

  decode(bytes, out) {
    for (let at = 0, o = 0; o < out.length; at += BLOCK_BYTES, o += BLOCK_WEIGHTS) {
      const d = readF16(bytes, at);
      for (let i = 0; i < BLOCK_WEIGHTS; i++) out[o + i] = d * ((bytes[at + 2 + i]! << 24) >> 24);
    }
  },

  encode(weights, bytes, importance) {
    for (let at = 0, o = 0; o < weights.length; at += BLOCK_BYTES, o += BLOCK_WEIGHTS) {
      const d = importance ? searched(weights, importance, o) : plain(weights, o);
      writeF16(bytes, at, d, o);
      const inverse = inverseOf(d);
      for (let i = 0; i < BLOCK_WEIGHTS; i++) {
        const scaled = Math.fround(weights[o + i]! * inverse);
        const size = Math.floor(Math.abs(scaled) + 0.5);
        bytes[at + 2 + i] = scaled < 0 ? -Math.min(size, 128) : Math.min(size, 127);
      }
    }
  },
};

/** max|x| / 127 of the block from weight `o` on, in f32. */
function plain(weights: Float32Array, o: number): number {
  let size = 0;
  for (let i = 0; i < BLOCK_WEIGHTS; i++) size = Math.max(size, Math.abs(weights[o + i]!));
  return Math.fround(size / 127);
}

function searched(weights: Float32Array, importance: Float32Array, o: number): number {
  return f16ToF32(toF16(searchSymmetricBlock(weights, importance, o, 128).scale, o));
}
