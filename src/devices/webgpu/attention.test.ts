import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { noGpu, testDevice, testGpu } from '../../../test/support/webgpu.ts';
import { type Batch, batchOfSequences } from '../../kernels/batch.ts';
import { kvTypes } from '../../kernels/ops.ts';
import { type Device, fromFloats } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { randomFloats } from '../wasm/testing.ts';

const skip = (await testGpu()) ? false : noGpu;
const gpu = skip ? null : await testDevice();
const reference = createReferenceDevice();

const shapes = [
  { H: 4, K: 2, E: 8 },
  { H: 3, K: 3, E: 5 },
  { H: 9, K: 1, E: 40 },
  { H: 2, K: 1, E: 260 },
];

/** Sequences that end at these lengths, of which the last `rows` are new, with block tables as mixed up as an old cache's. */
function pagedBatch(lengths: readonly number[], rows = Number.POSITIVE_INFINITY): { batch: Batch; blockCount: number } {
  const counts = lengths.map((length) => Math.ceil(length / 32));
  const blockCount = counts.reduce((a, b) => a + b, 0);
  let next = blockCount;
  let firstRow = 0;
  const spans = lengths.map((length, i) => {
    const rowCount = Math.min(rows, length);
    const blocks = Uint32Array.from({ length: counts[i]! }, () => --next);
    const span = { firstRow, rowCount, firstPosition: length - rowCount, blocks };
    firstRow += rowCount;
    return span;
  });
  return { batch: { ids: new Uint32Array(firstRow), positions: new Uint32Array(firstRow), spans }, blockCount };
}

for (const { H, K, E } of shapes) {
  test(`attention of ${H} heads over ${K} of size ${E}: agrees with the reference, with and without a cache`, {
    skip,
  }, async () => {
    const { batch, blockCount } = pagedBatch([1, 40, 9, 32]);
    const N = batch.ids.length;
    const [q, k, v] = [H, K, K].map((heads, i) => randomFloats(N * heads * E, i));
    for (const [window, more] of [
      [null, {}],
      [7, { scale: 0.3 }],
      [33, { scale: 0.5, cap: 1.5 }],
    ] as const) {
      const own = async (device: Device) => {
        const options = { headSize: E, window, ...more, sinks_H: fromFloats(device, randomFloats(H, 9), [H]) };
        const k_NP = fromFloats(device, k!, [N, K * E]);
        const v_NP = fromFloats(device, v!, [N, K * E]);
        const q_NQ = fromFloats(device, q!, [N, H * E]);
        const { mix_NQ, logSumExp_NH } = device.ops.attentionWithLogSumExp(q_NQ, { k_NP, v_NP }, batch, options);
        return [...(await device.read(mix_NQ)), ...(await device.read(logSumExp_NH))];
      };
      assertClose(`no cache, window ${window}`, await own(gpu!), await own(reference), { rtol: 2e-5, atol: 5e-6 });
      for (const type of kvTypes) {
        const cached = async (device: Device) => {
          const store = device.createKvStore({ layerCount: 2, blockCount, kvHeadCount: K, headSize: E, type });
          const at = { store, layer: 1 };
          device.ops.appendToCache(at, fromFloats(device, k!, [N, K * E]), fromFloats(device, v!, [N, K * E]), batch);
          const q_NQ = fromFloats(device, q!, [N, H * E]);
          return await device.read(device.ops.attention(q_NQ, at, batch, { headSize: E, window, ...more }));
        };
        const [actual, expected] = [await cached(gpu!), await cached(reference)];
        assertClose(`${type} cache, window ${window}`, actual, expected, { rtol: 2e-5, atol: 5e-6 });
      }
    }
  });
}

test('a long sequence that decodes: keys split among workgroups agree with the reference', { skip }, async () => {
  const { H, K, E } = { H: 4, K: 2, E: 8 };
  const lengths = [700, 30];
  const { batch: whole, blockCount } = pagedBatch(lengths);
  const last = { ...pagedBatch(lengths, 1).batch };
  const N = whole.ids.length;
  for (const type of kvTypes) {
    for (const window of [null, 300]) {
      const run = async (device: Device) => {
        const store = device.createKvStore({ layerCount: 1, blockCount, kvHeadCount: K, headSize: E, type });
        const at = { store, layer: 0 };
        const [k, v] = [1, 2].map((seed) => fromFloats(device, randomFloats(N * K * E, seed), [N, K * E]));
        device.ops.appendToCache(at, k!, v!, whole);
        const q = fromFloats(device, randomFloats(2 * H * E, 3), [2, H * E]);
        const sinks_H = fromFloats(device, randomFloats(H, 9), [H]);
        return await device.read(device.ops.attention(q, at, last, { headSize: E, window, sinks_H }));
      };
      assertClose(`${type}, window ${window}`, await run(gpu!), await run(reference), { rtol: 2e-5, atol: 5e-6 });
    }
  }
});

test('a NaN in a later key or value does not reach earlier queries', { skip }, async () => {
  const { H, K, E, N } = { H: 2, K: 1, E: 8, N: 40 };
  const batch = batchOfSequences([new Array<number>(N).fill(0)]);
  const k = randomFloats(N * K * E, 1);
  const v = randomFloats(N * K * E, 2);
  const run = async () => {
    const k_NP = fromFloats(gpu!, k, [N, K * E]);
    const v_NP = fromFloats(gpu!, v, [N, K * E]);
    const q_NQ = fromFloats(gpu!, randomFloats(N * H * E, 3), [N, H * E]);
    return await gpu!.read(gpu!.ops.attention(q_NQ, { k_NP, v_NP }, batch, { headSize: E, window: null }));
  };
  const clean = await run();
  k[35 * E] = Number.NaN;
  v[35 * E + 1] = Number.POSITIVE_INFINITY;
  const dirty = await run();
  deepStrictEqual(dirty.subarray(0, 35 * H * E), clean.subarray(0, 35 * H * E));
});

test('a copied block holds what the first one held', { skip }, async () => {
  for (const type of kvTypes) {
    const store = gpu!.createKvStore({ layerCount: 2, blockCount: 3, kvHeadCount: 2, headSize: 6, type });
    const run = async (block: number, append: boolean) => {
      const spans = [{ firstRow: 0, rowCount: 20, firstPosition: 0, blocks: Uint32Array.of(block) }];
      const batch = { ids: new Uint32Array(20), positions: new Uint32Array(20), spans };
      const x = (seed: number) => fromFloats(gpu!, randomFloats(20 * 12, seed), [20, 12]);
      if (append) gpu!.ops.appendToCache({ store, layer: 1 }, x(1), x(2), batch);
      return await gpu!.read(gpu!.ops.attention(x(3), { store, layer: 1 }, batch, { headSize: 6, window: null }));
    };
    const first = await run(0, true);
    gpu!.copyKvBlock(store, 0, 2);
    deepStrictEqual(await run(2, false), first, type);
  }
});

test('a product and an attention that are cut into several dispatches have the same rows', { skip }, async () => {
  const { H, K, E, N } = { H: 2, K: 1, E: 8, N: 150 };
  const batch = batchOfSequences([new Array<number>(70).fill(0), new Array<number>(80).fill(0)]);
  const run = async (device: Device) => {
    const rows = (heads: number, seed: number) => fromFloats(device, randomFloats(N * heads * E, seed), [N, heads * E]);
    const keyValues = { k_NP: rows(K, 1), v_NP: rows(K, 2) };
    const mix = device.ops.attention(rows(H, 3), keyValues, batch, { headSize: E, window: null });
    const w = fromFloats(device, randomFloats(33 * H * E, 4), [33, H * E]);
    return [...(await device.read(mix)), ...(await device.read(device.ops.linear(mix, w)))];
  };
  const cut = await testDevice({ dispatchFlops: 1 });
  assertClose('rows', await run(cut), await run(reference), { rtol: 2e-5, atol: 5e-6 });
  // Three tiles of either sequence, and three pieces of the product.
  strictEqual(cut.counts.dispatches, 9);
});
