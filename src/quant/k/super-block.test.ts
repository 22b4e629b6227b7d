/**
 * How good the encoders are, in numbers: the error they leave relative to the weights, next to plain rounding and to llama.cpp.
 * The k-quants minimise the squared error over candidate scales; these tests say what that buys.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from '../../base/random.ts';
import { type QuantizedType, rowBytes, type WritableType } from '../../tensor/dtype.ts';
import { decodeRow, encodeRow } from '../rows.ts';
import type { Grid } from './super-block.ts';

const COUNT = 65536;
const random = new Random(7);
const gaussian = Float32Array.from({ length: COUNT }, () => random.normal());

/**
 * ‖x − x̂‖ / ‖x‖ on these standard normal numbers: ours, and that of llama.cpp's own encoder (ggml_quantize_chunk, no importance
 * matrix) on the same numbers. The 32-weight types are the same algorithm, bit for bit.
 */
type Encoded = Extract<QuantizedType, WritableType>;
const typical: { readonly [type in Encoded]: { readonly ours: number; readonly llamaCpp: number } } = {
  Q2_K: { ours: 0.265432, llamaCpp: 0.297048 },
  Q3_K: { ours: 0.143952, llamaCpp: 0.151383 },
  Q4_K: { ours: 0.070549, llamaCpp: 0.071576 },
  Q5_K: { ours: 0.034983, llamaCpp: 0.036121 },
  Q6_K: { ours: 0.017245, llamaCpp: 0.017771 },
  Q8_0: { ours: 0.005375, llamaCpp: 0.005375 },
  Q4_0: { ours: 0.086155, llamaCpp: 0.086155 },
  Q4_1: { ours: 0.078483, llamaCpp: 0.078483 },
  Q5_0: { ours: 0.042819, llamaCpp: 0.042819 },
  Q5_1: { ours: 0.037985, llamaCpp: 0.037985 },
  IQ4_NL: { ours: 0.07353, llamaCpp: 0.07622 },
  IQ4_XS: { ours: 0.074123, llamaCpp: 0.076839 },
};

function relativeError(weights: Float32Array, back: Float32Array): number {
  let error = 0;
  let size = 0;
  for (let i = 0; i < weights.length; i++) {
    error += (weights[i]! - back[i]!) ** 2;
    size += weights[i]! ** 2;
  }
  return Math.sqrt(error / size);
}

function errorOf(dtype: QuantizedType, weights: Float32Array): number {
  const bytes = new Uint8Array(rowBytes(dtype, weights.length));
  const back = new Float32Array(weights.length);
  encodeRow(dtype, weights, bytes);
  decodeRow(dtype, bytes, back);
  return relativeError(weights, back);
}

for (const [dtype, { ours, llamaCpp }] of Object.entries(typical) as [Encoded, (typeof typical)['Q4_K']][]) {
  test(`${dtype}: Gaussian weights come back with the documented error, at most llama.cpp's`, () => {
    const error = errorOf(dtype, gaussian);
    assert.ok(Math.abs(error / ours - 1) <= 0.0002, `relative error ${error}, documented ${ours}`);
    assert.ok(error <= llamaCpp * 1.0002, `relative error ${error}, llama.cpp ${llamaCpp}`);
  });
}

test('more bits, less error; and Q4_K beats Q4_0 at the same size', () => {
  const order: QuantizedType[] = ['Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K', 'Q8_0'];
  const errors = order.map((dtype) => errorOf(dtype, gaussian));
  for (let i = 1; i < order.length; i++) assert.ok(errors[i]! < 0.6 * errors[i - 1]!, `${order[i]}: ${errors}`);
  assert.ok(errorOf('Q4_K', gaussian) < 0.85 * errorOf('Q4_0', gaussian));
});

/** Plain rounding on the same grid: min and max (or the extreme) fix the step, its integer is rounded, then the codes. */
function plainlyRounded(
  { partWeights, top, scaleTop }: Grid,
  kind: 'affine' | 'symmetric',
  x: Float32Array,
): Float32Array {
  const back = new Float32Array(x.length);
  for (let block = 0; block < x.length; block += 256) {
    const steps: number[] = [];
    const mins: number[] = [];
    for (let start = block; start < block + 256; start += partWeights) {
      const part = x.subarray(start, start + partWeights);
      const low = Math.min(0, ...part);
      const extreme = part.reduce((a, b) => (Math.abs(b) > Math.abs(a) ? b : a), 0);
      steps.push(kind === 'affine' ? (Math.max(...part) - low) / top : extreme / -top);
      mins.push(kind === 'affine' ? -low : 0);
    }
    const d = Math.max(...steps.map(Math.abs)) / (kind === 'affine' ? scaleTop : scaleTop - 1);
    const dmin = Math.max(...mins) / scaleTop;
    for (let i = block; i < block + 256; i++) {
      const part = Math.floor((i - block) / partWeights);
      const step = d * Math.round(steps[part]! / d);
      const min = dmin === 0 ? 0 : dmin * Math.round(mins[part]! / dmin);
      const [first, last] = kind === 'affine' ? [0, top] : [-top, top - 1];
      back[i] = step * Math.max(first!, Math.min(last!, Math.round((x[i]! + min) / step))) - min;
    }
  }
  return back;
}

/** By how much the search must beat plain rounding on Gaussian weights. */
const plain: { dtype: QuantizedType; grid: Grid; kind: 'affine' | 'symmetric'; factor: number }[] = [
  { dtype: 'Q2_K', grid: { partWeights: 16, top: 3, scaleTop: 15 }, kind: 'affine', factor: 1.2 },
  { dtype: 'Q3_K', grid: { partWeights: 16, top: 4, scaleTop: 32 }, kind: 'symmetric', factor: 1.07 },
  { dtype: 'Q4_K', grid: { partWeights: 32, top: 15, scaleTop: 63 }, kind: 'affine', factor: 1.1 },
  { dtype: 'Q5_K', grid: { partWeights: 32, top: 31, scaleTop: 63 }, kind: 'affine', factor: 1.09 },
  { dtype: 'Q6_K', grid: { partWeights: 16, top: 32, scaleTop: 128 }, kind: 'symmetric', factor: 1.08 },
];
for (const { dtype, grid, kind, factor } of plain) {
  test(`${dtype}: the search leaves at least ${factor} times less error than plain rounding on the same grid`, () => {
    const naive = relativeError(gaussian, plainlyRounded(grid, kind, gaussian));
    const error = errorOf(dtype, gaussian);
    assert.ok(naive >= factor * error, `plain ${naive}, search ${error}: ${naive / error}`);
  });
}

for (const [dtype, { ours }] of Object.entries(typical) as [Encoded, (typeof typical)['Q4_K']][]) {
  if (!dtype.endsWith('_K')) continue;
  test(`${dtype}: weights so small that d is a subnormal f16 keep most of their precision`, () => {
    for (let size = 1e-5; size < 1e-2; size *= 1.3) {
      const error = errorOf(
        dtype,
        gaussian.subarray(0, 4096).map((x) => size * x),
      );
      assert.ok(error <= 1.15 * ours, `size ${size}: relative error ${error}, ${error / ours} times the usual`);
    }
  });
}

test('equal weights of unequal importance are still equal, and exact where the offset can hold them', () => {
  for (const dtype of ['Q2_K', 'Q4_K', 'Q5_K', 'Q4_1', 'Q5_1'] as const) {
    for (const value of [0.3, -0.3, 17.1]) {
      const weights = new Float32Array(512).fill(value);
      const importance = Float32Array.from(weights, () => Math.exp(4 * random.normal()));
      const bytes = new Uint8Array(rowBytes(dtype, 512));
      const back = new Float32Array(512);
      encodeRow(dtype, weights, bytes, importance);
      decodeRow(dtype, bytes, back);
      for (const x of back) assert.ok(Math.abs(x / value - 1) <= 2e-3, `${dtype}: ${value} → ${x}`);
    }
  }
});

test('a sub-block without any importance is stored as well as the others allow', () => {
  const weights = gaussian.subarray(0, 512);
  const importance = Float32Array.from(weights, (_, i) => (i % 256 < 64 ? 0 : 1));
  for (const dtype of Object.keys(typical) as Encoded[]) {
    const bytes = new Uint8Array(rowBytes(dtype, 512));
    const back = new Float32Array(512);
    encodeRow(dtype, weights, bytes, importance);
    decodeRow(dtype, bytes, back);
    for (const start of [0, 256]) {
      const error = relativeError(weights.subarray(start, start + 64), back.subarray(start, start + 64));
      assert.ok(error <= 2 * typical[dtype].ours, `${dtype}: relative error ${error}`);
    }
  }
});

test('the same weights give the same bytes, whatever was encoded before', () => {
  for (const dtype of Object.keys(typical) as Encoded[]) {
    const weights = gaussian.subarray(0, 2048);
    const first = new Uint8Array(rowBytes(dtype, 2048));
    const second = new Uint8Array(rowBytes(dtype, 2048));
    encodeRow(dtype, weights, first);
    encodeRow(dtype, gaussian.subarray(4096, 6144), second, new Float32Array(2048).fill(0.5));
    encodeRow(dtype, weights, second);
    assert.deepEqual(second, first);
  }
});

test('weights that lie on a Q4_K grid are met almost exactly', () => {
  const bytes = new Uint8Array(rowBytes('Q4_K', 4096));
  const onGrid = new Float32Array(4096);
  encodeRow('Q4_K', gaussian.subarray(0, 4096), bytes);
  decodeRow('Q4_K', bytes, onGrid);
  assert.ok(errorOf('Q4_K', onGrid) < 0.1 * errorOf('Q4_K', gaussian));
});
