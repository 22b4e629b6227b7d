import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { noGpu, testDevice, testGpu } from '../../../test/support/webgpu.ts';
import { linear } from '../../kernels/linear/reference.ts';
import type { WeightType } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { fromFloats } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { randomFloats, randomWeights, sourceOf } from '../wasm/testing.ts';
import type { WebGpuDevice } from './device.ts';

const skip = (await testGpu()) ? false : noGpu;
const gpu = skip ? null : await testDevice();
/** A binding of this many bytes: matrices of several pieces. And sums are joined without subgroups. */
const pieces = skip ? null : await testDevice({ pieceBytes: 8192, without: ['subgroups'] });

const types = [
  ...(['f32', 'f16', 'bf16', 'Q8_0', 'Q4_0', 'Q4_1', 'Q5_0', 'Q5_1', 'Q2_K', 'Q3_K', 'Q4_K', 'Q5_K', 'Q6_K'] as const),
  // decoded to f32 when they are placed
  ...(['IQ4_XS', 'MXFP4'] as const),
] satisfies WeightType[];

for (const dtype of types) {
  test(`${dtype}: placed and read back, every row is what the format says, bit for bit, in one buffer or several`, {
    skip,
  }, async () => {
    for (const device of [gpu!, pieces!]) {
      const rows = 19;
      const { source, decoded } = randomWeights(dtype, rows, 512, 1);
      const ids = Uint32Array.from({ length: rows }, (_, i) => rows - 1 - i);
      const read = await device.read(device.ops.embed(device.placeWeight(source, 0), ids));
      for (let i = 0; i < rows; i++) {
        // A sum with a minimum may be fused, or not: the last bit then differs.
        const row = decoded.subarray((rows - 1 - i) * 512, (rows - i) * 512);
        assertClose(`row ${i}`, read.subarray(i * 512, (i + 1) * 512), row, { rtol: 1e-6, atol: 1e-9 });
      }
    }
  });

  test(`${dtype}: linear agrees with the reference, few rows and many`, { skip }, async () => {
    for (const [N, I, O] of [
      [1, 256, 8],
      [3, 512, 13],
      [9, 256, 33],
    ] as const) {
      const { source, decoded } = randomWeights(dtype, O, I, N + O);
      const [x, bias] = [randomFloats(N * I, 5), randomFloats(O, 6)];
      const [expected, magnitude] = [new Float64Array(N * O), new Float64Array(N * O)];
      linear(expected, x, decoded, bias, I);
      linear(magnitude, x.map(Math.abs), decoded.map(Math.abs), null, I);
      const limit = 4e-6 * magnitude.reduce((a, b) => Math.max(a, b), 1);
      for (const device of dtype === 'Q6_K' || dtype === 'f16' ? [gpu!, pieces!] : [gpu!])
        assertClose(`${N}×${I}×${O}`, await product(device, source, x, bias, N, O), expected, { atol: limit });
    }
  });
}

async function product(
  device: WebGpuDevice,
  source: TensorSource,
  x: Float32Array,
  bias: Float32Array,
  N: number,
  O: number,
) {
  const w = device.placeWeight(source, 0);
  return await device.read(
    device.ops.linear(fromFloats(device, x, [N, x.length / N]), w, fromFloats(device, bias, [O])),
  );
}

test('rows that fill no vector, tiles that are not full, and large tiles', { skip }, async () => {
  for (const dtype of ['f32', 'f16', 'bf16'] as const) {
    for (const [N, I, O] of [
      [1, 1, 1],
      [2, 7, 5],
      [8, 300, 3],
      [11, 19, 34],
      [70, 36, 66],
    ] as const) {
      const { source, decoded } = randomWeights(dtype, O, I, N + O);
      const [x, bias] = [randomFloats(N * I, 5), randomFloats(O, 6)];
      const expected = new Float64Array(N * O);
      linear(expected, x, decoded, bias, I);
      const y = await product(gpu!, source, x, bias, N, O);
      assertClose(`${dtype} ${N}×${I}×${O}`, y, expected, { rtol: 1e-5, atol: 1e-5 });
    }
  }
});

test('hostile activations: what is not finite reaches exactly the rows that hold it', { skip }, async () => {
  const reference = createReferenceDevice();
  for (const dtype of ['f32', 'Q4_0', 'Q6_K'] as const) {
    const { source } = randomWeights(dtype, 8, 256, 4);
    for (const N of [7, 12]) {
      const x = randomFloats(N * 256, 8);
      x[0 * 256 + 3] = Number.NaN;
      x[2 * 256 + 255] = Number.POSITIVE_INFINITY;
      x[5 * 256 + 9] = 1e30;
      x.fill(1e-42, 6 * 256, 7 * 256);
      const y = await gpu!.read(gpu!.ops.linear(fromFloats(gpu!, x, [N, 256]), gpu!.placeWeight(source, 0)));
      const w = reference.placeWeight(source, 0);
      const expected = await reference.read(reference.ops.linear(fromFloats(reference, x, [N, 256]), w));
      for (let i = 0; i < y.length; i++)
        strictEqual(Number.isFinite(y[i]), Number.isFinite(expected[i]), `${dtype} [${i}]: ${y[i]}, ${expected[i]}`);
    }
  }
});

test('the same product twice: the same bits', { skip }, async () => {
  const { source } = randomWeights('Q4_K', 70, 256, 4);
  const w = gpu!.placeWeight(source, 0);
  for (const N of [1, 70]) {
    const run = () => gpu!.read(gpu!.ops.linear(fromFloats(gpu!, randomFloats(N * 256, 8), [N, 256]), w));
    deepStrictEqual(await run(), await run());
  }
});

test('an infinite scale or weight is refused, naming the tensor', { skip }, () => {
  for (const [dtype, at] of [
    ['Q4_0', 18],
    ['f16', 10],
  ] as const) {
    const bytes = new Uint8Array(dtype === 'f16' ? 512 : 144);
    new DataView(bytes.buffer).setUint16(at, 0x7c00, true);
    throws(() => gpu!.placeWeight(sourceOf(dtype, bytes, 1, 256), 0), /random .* every weight must be finite/);
  }
});

test('an activation that no buffer can hold is refused with both sizes', { skip }, () => {
  throws(() => gpu!.scratch([2 ** 20, 2 ** 12]), /takes 17179869184 bytes, expected at most the \d+ that this adapter/);
});
