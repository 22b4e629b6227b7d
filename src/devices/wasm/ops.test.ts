import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import type { BatchStatistics } from '../../kernels/ops.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type Device, fromFloats } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { createWasmDevice } from './device.ts';
import { randomFloats } from './testing.ts';

const frequencies = { inverse: Float64Array.of(1, 0.1, 0.013), magnitude: 1.1 };

function statistics(device: Device, D: number, training: boolean): BatchStatistics {
  const filled = (value: number) => fromFloats(device, new Float32Array(D).fill(value), [D]);
  return { mean_D: filled(0.3), variance_D: filled(2), momentum: 0.1, training };
}

/** Every operation of rows on their own: x and y are [N, D], the vectors [D]. */
const operations: Record<string, (device: Device, x: Tensor, y: Tensor, gain: Tensor, shift: Tensor) => Tensor> = {
  add: ({ ops }, x, y) => ops.add(x, y),
  swiglu: ({ ops }, x, y) => ops.swiglu(x, y),
  geglu: ({ ops }, x, y) => ops.geglu(x, y),
  'geglu by tanh': ({ ops }, x, y) => ops.geglu(x, y, 'tanh'),
  scale: ({ ops }, x) => ops.scale(x, -0.7),
  softcap: ({ ops }, x) => ops.softcap(x, 1.2),
  gelu: ({ ops }, x) => ops.gelu(x),
  relu: ({ ops }, x) => ops.relu(x),
  rmsNorm: ({ ops }, x, _, gain) => ops.rmsNorm(x, gain, 1e-5),
  layerNorm: ({ ops }, x, _, gain, shift) => ops.layerNorm(x, gain, shift, 1e-5),
  'batchNorm, training': (device, x, _, gain, shift) =>
    device.ops.batchNorm(x, gain, shift, 1e-5, statistics(device, x.shape[1]!, true)),
  'batchNorm, inference': (device, x, _, gain, shift) =>
    device.ops.batchNorm(x, gain, shift, 1e-5, statistics(device, x.shape[1]!, false)),
  addSinusoids: ({ ops }, x) =>
    ops.addSinusoids(
      x,
      Uint32Array.from({ length: x.shape[0]! }, (_, i) => 3 * i),
    ),
  'addSinusoids in halves': ({ ops }, x) =>
    ops.addSinusoids(
      x,
      Uint32Array.from({ length: x.shape[0]! }, (_, i) => 3 * i),
      'halves',
    ),
  selectRows: ({ ops }, x) =>
    ops.selectRows(
      x,
      Uint32Array.from({ length: x.shape[0]! + 1 }, () => 0),
    ),
};

const shapes = [
  [1, 1],
  [1, 2],
  [3, 7],
  [2, 16],
  [5, 17],
  [4, 31],
  [9, 130],
] as const;

async function onDevice(device: Device, name: string, x: Float32Array, N: number, D: number): Promise<Float64Array> {
  const vector = (seed: number) => fromFloats(device, randomFloats(D, seed), [D]);
  const y = fromFloats(device, randomFloats(N * D, 2), [N, D]);
  const result = operations[name]!(device, fromFloats(device, x, [N, D]), y, vector(3), vector(4));
  return Float64Array.from(await device.read(result));
}

for (const name of Object.keys(operations)) {
  test(`${name} agrees with the reference on awkward shapes`, async () => {
    const [wasm, reference] = [await createWasmDevice(), createReferenceDevice()];
    for (const [N, D] of shapes) {
      const x = randomFloats(N * D, 1);
      const expected = await onDevice(reference, name, x, N, D);
      assertClose(`${name} ${N}×${D}`, await onDevice(wasm, name, x, N, D), expected, { rtol: 2e-5, atol: 2e-6 });
    }
  });

  test(`${name} keeps NaN and infinity where the reference has them`, async () => {
    const [wasm, reference] = [await createWasmDevice(), createReferenceDevice()];
    const [N, D] = [4, 19];
    const x = randomFloats(N * D, 1);
    for (const [at, value] of [
      [1, Number.NaN],
      [20, 1e-42],
      [40, -100],
      [41, 90],
      [60, Number.NaN],
    ] as const) {
      x[at] = value;
    }
    const expected = await onDevice(reference, name, x, N, D);
    const actual = await onDevice(wasm, name, x, N, D);
    for (let i = 0; i < expected.length; i++) {
      strictEqual(Number.isNaN(actual[i]), Number.isNaN(expected[i]), `[${i}]: ${actual[i]}, ${expected[i]}`);
    }
  });
}

test('rotation and rope agree with the reference, head sizes that fill no vector included', async () => {
  const [wasm, reference] = [await createWasmDevice(), createReferenceDevice()];
  for (const heads of [1, 3]) {
    const run = async (device: Device) => {
      const rotation = device.ops.rotation(Uint32Array.of(0, 5, 100_003), frequencies);
      const x = fromFloats(device, randomFloats(3 * heads * 6, 1), [3, heads * 6]);
      return await device.read(device.ops.rope(x, rotation));
    };
    assertClose(`${heads} heads`, await run(wasm), await run(reference), { rtol: 1e-6, atol: 1e-6 });
  }
});

test('no rows are no work', async () => {
  const device = await createWasmDevice();
  const x = fromFloats(device, new Float32Array(0), [0, 8]);
  const w = fromFloats(device, randomFloats(16, 1), [2, 8]);
  deepStrictEqual(device.ops.linear(x, w).shape, [0, 2]);
  strictEqual((await device.read(device.ops.add(x, x))).length, 0);
  strictEqual((await device.read(device.ops.embed(w, new Uint32Array(0)))).length, 0);
});

test('a row alone has the bits of the row in a batch', async () => {
  const device = await createWasmDevice();
  const [N, D] = [7, 37];
  const x = randomFloats(N * D, 1);
  const gain = fromFloats(device, randomFloats(D, 3), [D]);
  const batch = await device.read(device.ops.rmsNorm(fromFloats(device, x, [N, D]), gain, 1e-6));
  for (let n = 0; n < N; n++) {
    const row = fromFloats(device, x.slice(n * D, (n + 1) * D), [1, D]);
    deepStrictEqual(await device.read(device.ops.rmsNorm(row, gain, 1e-6)), batch.slice(n * D, (n + 1) * D));
  }
});

test('wrong shapes and ids are refused', async () => {
  const device = await createWasmDevice();
  const x = fromFloats(device, randomFloats(8, 1), [2, 4]);
  throws(
    () => device.ops.add(x, fromFloats(device, randomFloats(6, 1), [2, 3])),
    /shapes \[2, 4\] and \[2, 3\] differ/,
  );
  throws(() => device.ops.linear(x, fromFloats(device, randomFloats(6, 1), [2, 3])), /x has 4 columns, w has 3/);
  throws(() => device.ops.embed(x, Uint32Array.of(2)), /id 2 at row 0 is outside the table of 2 rows/);
  ok(device.memory().arena > 0);
});
