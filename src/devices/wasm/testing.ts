/** What the tests of the wasm device share: random weights of every type, as sources. */
import { f32ToBf16, f32ToF16 } from '../../base/f16.ts';
import { Random } from '../../base/random.ts';
import { decodeRow } from '../../quant/rows.ts';
import { dtypes, rowBytes, type WeightType } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';

/** Where a block's f16 scales are; everything else in a block may be any bytes. */
const scalesAt: Record<WeightType, readonly number[]> = {
  f32: [],
  f16: [],
  bf16: [],
  Q8_0: [0],
  Q4_0: [0],
  Q4_1: [0, 2],
  Q5_0: [0],
  Q5_1: [0, 2],
  Q2_K: [80, 82],
  Q3_K: [108],
  Q4_K: [0, 2],
  Q5_K: [0, 2],
  Q6_K: [208],
  IQ4_NL: [0],
  IQ4_XS: [0],
  MXFP4: [],
  IQ3_XXS: [0],
  IQ3_S: [0],
  IQ2_XXS: [0],
  IQ2_XS: [0],
  IQ2_S: [0],
  IQ1_S: [0],
  IQ1_M: [],
  TQ1_0: [52],
  TQ2_0: [64],
};
/** A scale that is coded in another way, made small. */
const shrunk: Partial<Record<WeightType, (block: Uint8Array) => void>> = {
  MXFP4: (block) => {
    block[0] = 100 + (block[0]! % 20);
  },
  IQ1_M: (block) => {
    block[55] = block[55]! & 0x9f;
  },
};

/** A matrix of random valid blocks: every bit pattern that a file may hold, subnormal scales and halves included. */
export function randomWeights(
  dtype: WeightType,
  rows: number,
  columns: number,
  seed: number,
): { source: TensorSource; decoded: Float32Array } {
  const random = new Random(seed);
  const bytes = new Uint8Array(rows * rowBytes(dtype, columns));
  const view = new DataView(bytes.buffer);
  const { blockBytes } = dtypes[dtype];
  const small = () => random.normal() * 10 ** (-6 * random.uniform());
  for (let at = 0; at < bytes.length; at += blockBytes) {
    if (dtype === 'f32') view.setFloat32(at, random.normal(), true);
    else if (dtype === 'f16') view.setUint16(at, f32ToF16(small()), true);
    else if (dtype === 'bf16') view.setUint16(at, f32ToBf16(random.normal()), true);
    else {
      for (let i = 0; i < blockBytes; i++) bytes[at + i] = random.below(256);
      shrunk[dtype]?.(bytes.subarray(at, at + blockBytes));
      for (const place of scalesAt[dtype]) view.setUint16(at + place, f32ToF16(0.01 * small()), true);
    }
  }
  const decoded = new Float32Array(rows * columns);
  decodeRow(dtype, bytes, decoded);
  return { source: sourceOf(dtype, bytes, rows, columns), decoded };
}

export function sourceOf(dtype: WeightType, bytes: Uint8Array, rows: number, columns: number): TensorSource {
  const stride = rowBytes(dtype, columns);
  return {
    name: `random ${dtype}`,
    dtype,
    shape: [rows, columns],
    readRows: (target, first, count) => target.set(bytes.subarray(first * stride, (first + count) * stride)),
  };
}

export function randomFloats(count: number, seed: number): Float32Array {
  const random = new Random(seed);
  return Float32Array.from({ length: count }, () => random.normal());
}

/** x as `linear` sees it over int8 activations: rounded to scale · q in blocks of 32. */
export function int8Rounded(x: Float32Array): Float32Array {
  const y = new Float32Array(x.length);
  for (let b = 0; b < x.length; b += 32) {
    const block = x.subarray(b, b + 32);
    const largest = block.reduce((m, v) => Math.max(m, Math.abs(v)), 0);
    if (largest < 1e-36) continue;
    const scale = Math.fround(largest / 127);
    const inverse = Math.fround(127 / largest);
    for (let i = 0; i < 32; i++) {
      const product = Math.fround(block[i]! * inverse);
      const floor = Math.floor(product);
      const rest = product - floor;
      const q = rest > 0.5 || (rest === 0.5 && floor % 2 !== 0) ? floor + 1 : floor;
      y[b + i] = scale * q;
    }
  }
  return y;
}
