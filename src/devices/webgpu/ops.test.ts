import { deepStrictEqual, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { noGpu, testDevice, testGpu } from '../../../test/support/webgpu.ts';
import { largest } from '../../kernels/largest/reference.ts';
import type { BatchStatistics } from '../../kernels/ops.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import { type Device, fromFloats } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { randomFloats } from '../wasm/testing.ts';

const skip = (await testGpu()) ? false : noGpu;
const gpu = skip ? null : await testDevice();
const reference = createReferenceDevice();

function statistics(device: Device, D: number, training: boolean): BatchStatistics {
  const filled = (value: number) => fromFloats(device, new Float32Array(D).fill(value), [D]);
  return { mean_D: filled(0.3), variance_D: filled(2), momentum: 0.1, training };
}
const everyThird = (count: number) => Uint32Array.from({ length: count }, (_, i) => 3 * i);

/** Every operation of rows on their own: x and y are [N, D], the vectors [D]. */
const operations: Record<string, (device: Device, x: Tensor, y: Tensor, gain: Tensor, shift: Tensor) => Tensor> = {
  add: ({ ops }, x, y) => ops.add(x, y),
  swiglu: ({ ops }, x, y) => ops.swiglu(x, y),
  'swiglu with a limit': ({ ops }, x, y) => ops.swiglu(x, y, 0.7),
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
  addSinusoids: ({ ops }, x) => ops.addSinusoids(x, everyThird(x.shape[0]!)),
  'addSinusoids in halves': ({ ops }, x) => ops.addSinusoids(x, everyThird(x.shape[0]!), 'halves'),
  selectRows: ({ ops }, x) => ops.selectRows(x, Uint32Array.of(x.shape[0]! - 1, 0)),
  placeRows: (device, x, y) => {
    const rows = device.ops.scale(x, 1);
    device.ops.placeRows(rows, device.ops.selectRows(y, Uint32Array.of(0)), Uint32Array.of(x.shape[0]! - 1));
    return rows;
  },
};

const shapes = [
  [1, 1],
  [3, 7],
  [9, 130],
  [4, 300],
] as const;

async function onDevice(device: Device, name: string, x: Float32Array, N: number, D: number): Promise<Float64Array> {
  const mark = device.mark();
  const vector = (seed: number) => fromFloats(device, randomFloats(D, seed), [D]);
  const y = fromFloats(device, randomFloats(N * D, 2), [N, D]);
  const reading = device.read(operations[name]!(device, fromFloats(device, x, [N, D]), y, vector(3), vector(4)));
  device.release(mark);
  return Float64Array.from(await reading);
}

for (const name of Object.keys(operations)) {
  test(`${name} agrees with the reference on awkward shapes`, { skip }, async () => {
    for (const [N, D] of shapes) {
      const x = randomFloats(N * D, 1);
      const expected = await onDevice(reference, name, x, N, D);
      assertClose(`${name} ${N}×${D}`, await onDevice(gpu!, name, x, N, D), expected, { rtol: 2e-5, atol: 2e-6 });
    }
  });

  test(`${name}: NaN stays in its row, and extreme numbers are what they are in the reference`, { skip }, async () => {
    const [N, D] = [6, 19];
    const x = randomFloats(N * D, 1);
    x[1] = Number.NaN;
    x[40] = -100;
    x[41] = 90;
    x[60] = 1e-42;
    x[80] = -1e4;
    x[81] = 1e4;
    const expected = await onDevice(reference, name, x, N, D);
    const actual = await onDevice(gpu!, name, x, N, D);
    // WGSL does not promise what a NaN becomes: the rows without one must be right, whatever stands beside them.
    const from = name.startsWith('batchNorm') ? expected.length : D;
    const rows = name === 'selectRows' ? actual.subarray(0, D) : actual.subarray(from);
    const wanted = name === 'selectRows' ? expected.subarray(0, D) : expected.subarray(from);
    assertClose(name, rows, wanted, { rtol: 2e-5, atol: 2e-5 });
  });
}

test('rotation and rope agree with the reference, at large positions and awkward head sizes', { skip }, async () => {
  const frequencies = { inverse: Float64Array.of(1, 0.1, 0.013), magnitude: 1.1 };
  for (const heads of [1, 3]) {
    const run = async (device: Device) => {
      const rotation = device.ops.rotation(Uint32Array.of(0, 5, 100_003), frequencies);
      const x = fromFloats(device, randomFloats(3 * heads * 6, 1), [3, heads * 6]);
      return await device.read(device.ops.rope(x, rotation));
    };
    assertClose(`${heads} heads`, await run(gpu!), await run(reference), { rtol: 1e-6, atol: 1e-6 });
  }
});

test('no rows are no work', { skip }, async () => {
  const x = fromFloats(gpu!, new Float32Array(0), [0, 8]);
  const w = fromFloats(gpu!, randomFloats(16, 1), [2, 8]);
  const gain = fromFloats(gpu!, randomFloats(8, 1), [8]);
  deepStrictEqual(gpu!.ops.linear(x, w).shape, [0, 2]);
  for (const y of [gpu!.ops.add(x, x), gpu!.ops.rmsNorm(x, gain, 1), gpu!.ops.embed(w, new Uint32Array(0))])
    strictEqual((await gpu!.read(y)).length, 0);
});

test('wrong shapes and ids are refused', { skip }, () => {
  const x = fromFloats(gpu!, randomFloats(8, 1), [2, 4]);
  const y = fromFloats(gpu!, randomFloats(6, 1), [2, 3]);
  throws(() => gpu!.ops.add(x, y), /shapes \[2, 4\] and \[2, 3\] differ/);
  throws(() => gpu!.ops.linear(x, y), /x has 4 columns, w has 3/);
  throws(() => gpu!.ops.embed(x, Uint32Array.of(2)), /id 2 at row 0 is outside the table of 2 rows/);
});

test('experts: chosen, used and mixed as the reference does, ties and large scores included', { skip }, async () => {
  const [N, X, U, O, I] = [5, 7, 3, 9, 36];
  const scores = randomFloats(N * X, 1);
  scores.set([2, 5, 5, 5, -80, 70, 0]);
  for (const weights of ['chosen', 'all', 'sigmoid'] as const) {
    const run = async (device: Device) => {
      const { ops } = device;
      const routes = ops.route(fromFloats(device, scores, [N, X]), { used: U, weights });
      const w = fromFloats(device, randomFloats(X * O * I, 2), [X, O, I]);
      const bias = fromFloats(device, randomFloats(X * O, 3), [X, O]);
      const y = ops.routedLinear(fromFloats(device, randomFloats(N * I, 4), [N, I]), w, routes, bias);
      const down = fromFloats(device, randomFloats(X * I * O, 5), [X, I, O]);
      const z = ops.mixRoutes(ops.routedLinear(y, down, routes), routes);
      const all = [routes.chosen_NU, routes.weights_NU, y, z].map((tensor) => device.read(tensor));
      return (await Promise.all(all)).flatMap((numbers) => [...numbers]);
    };
    assertClose(`weights ${weights}`, await run(gpu!), await run(reference), { rtol: 1e-5, atol: 1e-5 });
  }
});

test('the largest numbers of rows: equal ones by place, NaN first, infinities, in one pass and in several', {
  skip,
}, async () => {
  for (const [R, V, k] of [
    [3, 7, 7],
    [1, 300, 1],
    [2, 9001, 40],
  ] as const) {
    const x = randomFloats(R * V, 5).map((number) => Math.round(number * 40) / 8);
    x.set([Number.NEGATIVE_INFINITY, -0, 0, 1e30, 1e-42], 1);
    if (R > 1) x.set([Number.NaN, Number.POSITIVE_INFINITY], V + 2);
    const expected = new Float32Array(R * k * 2);
    largest(expected, x, R, k);
    deepStrictEqual(await gpu!.read(gpu!.largest!(fromFloats(gpu!, x, [R, V]), k)), expected, `${R}×${V}`);
  }
});
