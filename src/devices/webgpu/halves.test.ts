/** Products in f16, which no software adapter chooses by itself: asked for here, of one that has shader-f16. */
import { deepStrictEqual, match, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { goldenJson, goldenPath, goldenTensors } from '../../../test/support/golden.ts';
import { noHalves, testDevice, testGpuWithHalves } from '../../../test/support/webgpu.ts';
import { f32ToF16 } from '../../base/f16.ts';
import { batchOfSequences } from '../../kernels/batch.ts';
import { linear } from '../../kernels/linear/reference.ts';
import { forward } from '../../model/llama.ts';
import { loadModel } from '../../model/model.ts';
import { openCheckpointAt } from '../../platform/node/files.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { columnCount } from '../../tensor/tensor.ts';
import { fromFloats } from '../device.ts';
import { randomFloats, randomWeights } from '../wasm/testing.ts';

const skip = (await testGpuWithHalves()) ? false : noHalves;
const gpu = skip ? null : await testDevice({ products: 'f16' });

/** Of Σ |x|·|w|: what rounding x to f16 may change (kernels/gemm/f16.webgpu.ts), and f32 sums a little. */
const ROUNDING = 2 ** -11 + 2 ** -16;

async function product(x: Float32Array, source: TensorSource, bias: Float32Array | null, of: 'linear' | 'linearExact') {
  const I = columnCount(source.shape);
  const b = bias ? fromFloats(gpu!, bias, [bias.length]) : undefined;
  return await gpu!.read(gpu!.ops[of](fromFloats(gpu!, x, [x.length / I, I]), gpu!.placeWeight(source, 0), b));
}

/** Σ x·w + bias and Σ |x|·|w|, in f64. */
function expectedOf(x: Float32Array, decoded: Float32Array, bias: Float32Array | null, I: number) {
  const count = (x.length / I) * (decoded.length / I);
  const [y, magnitude] = [new Float64Array(count), new Float64Array(count)];
  linear(y, x, decoded, bias, I);
  linear(magnitude, x.map(Math.abs), decoded.map(Math.abs), null, I);
  return { y, magnitude };
}

// The driver takes seconds to compile each: the others, and large tiles, with CRIA_GPU_TESTS=all.
const isAll = process.env.CRIA_GPU_TESTS === 'all';

for (const dtype of ['f16', 'Q6_K', ...(isAll ? (['Q8_0', 'Q4_0', 'Q2_K', 'Q4_K', 'Q5_1'] as const) : [])] as const) {
  test(`${dtype}: rows that f16 holds have the reference's product, in tiles that are full or not`, {
    skip,
  }, async () => {
    for (const [N, I, O] of [[9, 256, 33], ...(isAll ? ([[50, 256, 70]] as const) : [])] as const) {
      const { source, decoded } = randomWeights(dtype, O, I, N + O);
      const x = randomFloats(N * I, 5).map((one) => Math.round(one * 256) / 128);
      const bias = randomFloats(O, 6);
      const { y, magnitude } = expectedOf(x, decoded, bias, I);
      const limit = 1e-5 * magnitude.reduce((a, b) => Math.max(a, b), 1);
      assertClose(`${N}×${I}×${O}`, await product(x, source, bias, 'linear'), y, { atol: limit });
    }
  });
}

test('x is rounded within the tolerance, numbers beyond f16 and below it too; what is not finite stays in its row', {
  skip,
}, async () => {
  const [N, I, O] = [9, 256, 33];
  for (const dtype of ['f16', 'Q6_K'] as const) {
    const { source, decoded } = randomWeights(dtype, O, I, 3);
    const x = randomFloats(N * I, 8);
    const row = (n: number) => x.subarray(n * I, (n + 1) * I);
    row(0)[3] = Number.NaN;
    row(2)[255] = Number.POSITIVE_INFINITY;
    row(4).forEach((one, i, all) => void (all[i] = one * 1e6));
    row(5)[9] = 1e30;
    row(6).fill(0);
    row(7).forEach((one, i, all) => void (all[i] = one * 1e-30));
    row(8).forEach((one, i, all) => void (all[i] = one * 10 ** (-(i % 32) / 4)));
    const found = await product(x, source, null, 'linear');
    const { y, magnitude } = expectedOf(x, decoded, null, I);
    for (const [i, value] of found.entries()) {
      const n = Math.floor(i / O);
      const isRight =
        n === 0 || n === 2 ? !Number.isFinite(value) : Math.abs(value - y[i]!) <= ROUNDING * magnitude[i]!;
      ok(isRight, `${dtype}, row ${n}: ${value}, expected ${y[i]} ± ${ROUNDING * magnitude[i]!}`);
    }
    deepStrictEqual(found.subarray(6 * O, 7 * O), new Float32Array(O));
    if (dtype === 'f16') {
      const [exact, tolerance] = [await product(row(8), source, null, 'linearExact'), 2e-6];
      for (let i = 0; i < O; i++) ok(Math.abs(exact[i]! - y[8 * O + i]!) <= tolerance * magnitude[8 * O + i]!);
    }
  }
});

test('a golden model with its matrices in f16: hidden states within 2⁻⁸ of their largest number, logits too', {
  skip: skip || (isAll ? false : 'only with CRIA_GPU_TESTS=all: a minute of compiling'),
}, async () => {
  const checkpoint = openCheckpointAt(goldenPath('forward/rope-llama3'));
  const expected = goldenTensors('forward/rope-llama3/expected.safetensors');
  const { fp32_vs_fp64: noise } = goldenJson<{ fp32_vs_fp64: Record<string, { max_abs_value: number }> }>(
    'forward/rope-llama3/expected.json',
  );
  const inHalves = [...checkpoint.tensors].map(([name, source]) => [name, halved(source)] as const);
  const model = loadModel(gpu!, checkpoint.config, new Map(inHalves));
  const [B, T] = expected.input_ids!.shape as [number, number];
  const rows = Array.from({ length: B }, (_, b) => expected.input_ids!.data.subarray(b * T, (b + 1) * T));
  const before = new Set(gpu!.counts.kernels.keys());
  const last: Promise<ArrayLike<number>>[] = [];
  const logits = forward(model, gpu!.ops, batchOfSequences(rows), {
    tap: (name, tensor) => name === 'norm' && last.push(gpu!.read(tensor)),
  });
  for (const [what, found] of [
    ['logits', await gpu!.read(logits)],
    ['hidden.norm', await last[0]!],
  ] as const)
    assertClose(what, Float32Array.from(found), expected[what]!.data, { atol: 2 ** -8 * noise[what]!.max_abs_value });
  const met = [...gpu!.counts.kernels.keys()].filter((name) => name.startsWith('product'));
  ok(met.length > 0 && met.every((name) => name.startsWith('product in f16')), `${met}, before: ${[...before]}`);
  checkpoint.close();
});

/** The matrix as an f16 file has it. */
function halved(source: TensorSource): TensorSource {
  if (source.shape.length < 2) return source;
  return {
    ...source,
    dtype: 'f16',
    readRows(target, first, count) {
      const numbers = new Float32Array(count * columnCount(source.shape));
      source.readRows(new Uint8Array(numbers.buffer), first, count);
      target.set(new Uint8Array(Uint16Array.from(numbers, f32ToF16).buffer));
    },
  };
}

test('the description says it, and the feature is asked of the adapter', { skip }, () => {
  match(gpu!.description, /many rows by f16/);
  ok(gpu!.features.includes('shader-f16'));
});
