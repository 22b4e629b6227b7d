/**
 * The types without blocks: every weight is a number of its own.
 *
 *   f32   4 bytes  IEEE 754 binary32                     exact
 *   f16   2 bytes  IEEE 754 binary16, 11-bit fraction    |error| ≤ 2⁻¹¹·|x| (≤ 2⁻²⁵ below 2⁻¹⁴), |x| ≤ 65504
 *   bf16  2 bytes  the upper half of a binary32, 8 bits  |error| ≤ 2⁻⁸·|x|
 *
 * Numbers  Rounding is to nearest, ties to even, which is the best choice whatever the importance of a weight.
 * Source   IEEE 754-2019 §3.4; ggml-common.h has no struct for them, ggml.h names them GGML_TYPE_F32, _F16, _BF16.
 */
import { ArgumentError } from '../base/errors.ts';
import { f16ToF32, f32ToBf16 } from '../base/f16.ts';
import { type Codec, writeF16 } from './codec.ts';

export const f32: Codec = {
  scales: { type: 'f32', offsets: [0] },
  decode(bytes, out) {
    bytesOf(out).set(bytes);
  },
  encode(weights, bytes) {
    bytes.set(bytesOf(weights));
  },
};

export const f16: Codec = {
  scales: { type: 'f16', offsets: [0] },
  decode(bytes, out) {
    const words = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < words.length; i++) {
      const bits = bytes[2 * i]! | (bytes[2 * i + 1]! << 8);
      const exponent = bits & 0x7c00;
      // Arithmetic is faster here than the table, which only zero, subnormal, infinite and NaN need.
      if (exponent === 0 || exponent === 0x7c00) out[i] = f16ToF32(bits);
      else words[i] = ((bits & 0x8000) << 16) | (((bits & 0x7fff) << 13) + 0x38000000);
    }
  },
  encode(weights, bytes) {
    for (let i = 0; i < weights.length; i++) writeF16(bytes, 2 * i, weights[i]!, i);
  },
};

export const bf16: Codec = {
  scales: { type: 'bf16', offsets: [0] },
  decode(bytes, out) {
    const words = new Uint32Array(out.buffer, out.byteOffset, out.length);
    for (let i = 0; i < words.length; i++) words[i] = (bytes[2 * i]! << 16) | (bytes[2 * i + 1]! << 24);
  },
  encode(weights, bytes) {
    for (let i = 0; i < weights.length; i++) {
      const bits = f32ToBf16(weights[i]!);
      if ((bits & 0x7f80) === 0x7f80) {
        throw new ArgumentError(
          'quant.overflow',
          `encodeRow: weight ${i} is ${weights[i]}, bf16 ends at ±3.39e38. Store this tensor as f32`,
        );
      }
      bytes[2 * i] = bits & 255;
      bytes[2 * i + 1] = bits >>> 8;
    }
  },
};

function bytesOf(floats: Float32Array): Uint8Array {
  return new Uint8Array(floats.buffer, floats.byteOffset, floats.byteLength);
}
