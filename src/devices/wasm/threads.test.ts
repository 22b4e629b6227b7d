import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { nodeThreads } from '../../platform/node/threads.ts';
import type { Floats } from '../../tensor/tensor.ts';
import { fromFloats } from '../device.ts';
import { createWasmDevice, type WasmDevice, type WasmDeviceOptions } from './device.ts';
import { randomFloats, randomWeights } from './testing.ts';

/** A block's worth of operations on matrices large enough to be shared out. */
async function compute(device: WasmDevice, N: number): Promise<Floats[]> {
  const D = 1024;
  const types = ['Q4_0', 'Q8_0', 'Q4_K', 'Q6_K', 'f16', 'f32'] as const;
  const weights = types.map((dtype, i) => [randomWeights(dtype, 300, D, i).source, i] as const);
  await device.prepare!(weights);
  const x_ND = fromFloats(device, randomFloats(N * D, 1), [N, D]);
  const results = [];
  for (const [source, i] of weights) {
    const w = device.placeWeight(source, i);
    const y = device.ops.linear(x_ND, w);
    results.push(await device.read(device.ops.swiglu(y, y)));
  }
  const q_NQ = fromFloats(device, randomFloats(N * 64, 2), [N, 64]);
  const k_NP = fromFloats(device, randomFloats(N * 16, 3), [N, 16]);
  const v_NP = fromFloats(device, randomFloats(N * 16, 4), [N, 16]);
  const spans = [{ firstRow: 0, rowCount: N, firstPosition: 0, blocks: new Uint32Array(0) }];
  const batch = { ids: new Uint32Array(N), positions: new Uint32Array(N), spans };
  results.push(
    await device.read(device.ops.attention(q_NQ, { k_NP, v_NP }, batch, { headSize: 16, window: null })),
    await device.read(device.ops.add(x_ND, x_ND)),
  );
  return results;
}

async function withDevice<T>(options: WasmDeviceOptions, use: (device: WasmDevice) => T | Promise<T>): Promise<T> {
  const device = await createWasmDevice({ host: nodeThreads, ...options });
  try {
    return await use(device);
  } finally {
    device.close();
  }
}

test('1, 2, 3 and 8 threads compute the same bits', async () => {
  for (const N of [1, 5, 90]) {
    const alone = await withDevice({}, (device) => compute(device, N));
    for (const threads of [2, 3, 8]) {
      deepStrictEqual(
        await withDevice({ threads }, (device) => compute(device, N)),
        alone,
        `${threads} threads, N ${N}`,
      );
    }
  }
});

test('long contexts: splits shared out among threads have the bits of one thread', async () => {
  const long = async (device: WasmDevice) => {
    const E = 16;
    const store = device.createKvStore({ layerCount: 1, blockCount: 50, kvHeadCount: 1, headSize: E, type: 'f16' });
    const at = { store, layer: 0 };
    const blocks = Uint32Array.from({ length: 50 }, (_, i) => 49 - i);
    const batchOf = (rowCount: number, firstPosition: number) => ({
      ids: new Uint32Array(rowCount),
      positions: new Uint32Array(rowCount),
      spans: [{ firstRow: 0, rowCount, firstPosition, blocks }],
    });
    const kv = (seed: number, N: number) => fromFloats(device, randomFloats(N * E, seed), [N, E]);
    device.ops.appendToCache(at, kv(1, 1599), kv(2, 1599), batchOf(1599, 0));
    device.ops.appendToCache(at, kv(3, 1), kv(4, 1), batchOf(1, 1599));
    const q = fromFloats(device, randomFloats(2 * E, 5), [1, 2 * E]);
    return Promise.all(
      [null, 700].map((window) => device.read(device.ops.attention(q, at, batchOf(1, 1599), { headSize: E, window }))),
    );
  };
  const alone = await withDevice({}, long);
  deepStrictEqual(await withDevice({ threads: 2 }, long), alone);
});

test('a model over several memories computes the same bits, with and without threads', async () => {
  const alone = await withDevice({}, (device) => compute(device, 3));
  for (const threads of [1, 3]) {
    const spread = await withDevice({ threads, segmentWeights: 400_000 }, (device) => compute(device, 3));
    deepStrictEqual(spread, alone, `${threads} threads`);
  }
});

test('threads that have parked wake up again', async () => {
  await withDevice({ threads: 2 }, async (device) => {
    const first = await compute(device, 2);
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 50);
    deepStrictEqual(await compute(device, 2), first);
  });
});

test('keep keeps the numbers and frees the rest', async () => {
  await withDevice({}, async (device) => {
    const x = fromFloats(device, randomFloats(64, 1), [4, 16]);
    const mark = device.mark();
    for (let i = 0; i < 5; i++) device.ops.add(x, x);
    const y = device.ops.add(x, x);
    const numbers = await device.read(y);
    const kept = device.keep(mark, [y])[0]!;
    deepStrictEqual(await device.read(kept), numbers);
    deepStrictEqual(kept.shape, [4, 16]);
    strictEqual(device.mark(), mark + 1);
  });
});

test('a cache that does not fit says what it needs', async () => {
  await withDevice({}, (device) => {
    const kv = { layerCount: 1, blockCount: 1 << 20, kvHeadCount: 8, headSize: 128, type: 'f32' as const };
    throws(() => device.createKvStore(kv), /KV cache of layer 0 \(33554432 positions\) needs 256\.0 GiB/);
    ok(device.memory().cache === 0);
  });
});
