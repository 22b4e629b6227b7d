/**
 * What a block type must be able to do, and the few steps that all of them share.
 * A row is a run of whole blocks; a block stores neighbouring weights of one row. Multi-byte numbers are little-endian.
 */
import { ArgumentError } from '../base/errors.ts';
import { f16ToF32, f32ToF16 } from '../base/f16.ts';

export interface Decoder {
  readonly scales: Scales;
  /** Every bit pattern decodes; NaN and infinite scales are handed on as they are. */
  decode(bytes: Uint8Array, out: Float32Array): void;
}

export interface Codec extends Decoder {
  /** `weights` are finite; `importance` holds one non-negative factor per weight, or is null: all alike. */
  encode(weights: Float32Array, bytes: Uint8Array, importance: Float32Array | null): void;
}

/**
 * What a broken file could set to NaN or infinity: floating-point numbers at fixed places of a block, or, where a scale is coded in
 * another way, a test of the block that starts at byte `at`.
 */
export type Scales =
  | { readonly type: 'f16' | 'bf16' | 'f32'; readonly offsets: readonly number[] }
  | { readonly type: 'coded'; isBad(bytes: Uint8Array, at: number): boolean };

export const oneHalf = (...offsets: number[]) => ({ type: 'f16', offsets }) as const;

/** The little-endian u16 at `at`. */
export function readU16(bytes: Uint8Array, at: number): number {
  return bytes[at]! | (bytes[at + 1]! << 8);
}

/** The little-endian u32 at `at`, as a signed integer: for shifts and masks. */
export function readU32(bytes: Uint8Array, at: number): number {
  return readU16(bytes, at) | (readU16(bytes, at + 2) << 16);
}

export function readF16(bytes: Uint8Array, at: number): number {
  return f16ToF32(readU16(bytes, at));
}

/** Stores a block's scale, rounded to f16. A scale that f16 cannot hold is an error, never a silent infinity. */
export function writeF16(bytes: Uint8Array, at: number, scale: number, firstWeight: number): void {
  const bits = toF16(scale, firstWeight);
  bytes[at] = bits & 255;
  bytes[at + 1] = bits >>> 8;
}

/** The f16 bits of a scale of the block that starts at weight `firstWeight`. */
export function toF16(scale: number, firstWeight: number): number {
  const bits = f32ToF16(scale);
  if ((bits & 0x7c00) === 0x7c00) {
    throw new ArgumentError(
      'quant.overflow',
      `encodeRow: the block from weight ${firstWeight} on: expected numbers within f16's ±65504, found ${scale}. ` +
        'Store this tensor as bf16 or f32',
    );
  }
  return bits;
}

/** 1/step in f32, as ggml takes it; the inverse of no step is 0. */
export function inverseOf(step: number): number {
  return step === 0 ? 0 : Math.fround(1 / step);
}
