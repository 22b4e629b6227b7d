import { deepStrictEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertClose } from '../../../test/support/close.ts';
import { roundQueries } from '../../kernels/attention/reference.ts';
import { type Batch, batchOfSequences } from '../../kernels/batch.ts';
import { kvTypes } from '../../kernels/ops.ts';
import { type Device, fromFloats } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { createWasmDevice } from './device.ts';
import { randomFloats } from './testing.ts';

const shapes = [
  { H: 4, K: 2, E: 8 },
  { H: 8, K: 1, E: 6 },
  { H: 3, K: 3, E: 5 },
  { H: 9, K: 1, E: 24 },
  { H: 16, K: 2, E: 64 },
  { H: 5, K: 1, E: 32 },
  { H: 2, K: 2, E: 96 },
  { H: 1, K: 1, E: 1 },
  { H: 2, K: 1, E: 40 },
];

/** Whole sequences with block tables that are as mixed up as an old cache's. */
function pagedBatch(lengths: readonly number[]): { batch: Batch; blockCount: number } {
  const whole = batchOfSequences(lengths.map((length) => new Array<number>(length).fill(0)));
  const counts = lengths.map((length) => Math.ceil(length / 32));
  const blockCount = counts.reduce((a, b) => a + b, 0);
  let next = blockCount;
  const spans = whole.spans.map((span, i) => ({
    ...span,
    blocks: Uint32Array.from({ length: counts[i]! }, () => --next),
  }));
  return { batch: { ...whole, spans }, blockCount };
}

for (const { H, K, E } of shapes) {
  test(`attention of ${H} heads over ${K} of size ${E}: agrees with the reference, with and without a cache, windowed or not`, async () => {
    const wasm = await createWasmDevice();
    const reference = createReferenceDevice();
    const lengths = [1, 40, 9, 32];
    const { batch, blockCount } = pagedBatch(lengths);
    const N = batch.ids.length;
    const [q, k, v] = [H, K, K].map((heads, i) => randomFloats(N * heads * E, i)) as [
      Float32Array,
      Float32Array,
      Float32Array,
    ];
    for (const [window, more] of [
      [null, {}],
      [1, {}],
      [7, { scale: 0.3 }],
      [33, { scale: 0.5, cap: 1.5 }],
      [null, { cap: 50 }],
    ] as const) {
      const options = { headSize: E, window, ...more };
      const own = async (device: Device) => {
        const k_NP = fromFloats(device, k, [N, K * E]);
        const v_NP = fromFloats(device, v, [N, K * E]);
        return await device.read(
          device.ops.attention(fromFloats(device, q, [N, H * E]), { k_NP, v_NP }, batch, options),
        );
      };
      const withoutCache = await own(wasm);
      assertClose(`no cache, window ${window}`, withoutCache, await own(reference), { rtol: 1e-5, atol: 3e-6 });
      for (const type of kvTypes) {
        const isRounded = E % 32 === 0 && (type === 'q8_0' || type === 'q4_0');
        const cached = async (device: Device, queries: Float32Array) => {
          const store = device.createKvStore({ layerCount: 2, blockCount, kvHeadCount: K, headSize: E, type });
          const at = { store, layer: 1 };
          device.ops.appendToCache(at, fromFloats(device, k, [N, K * E]), fromFloats(device, v, [N, K * E]), batch);
          return await device.read(device.ops.attention(fromFloats(device, queries, [N, H * E]), at, batch, options));
        };
        const actual = await cached(wasm, q);
        const expected = await cached(reference, isRounded ? Float32Array.from(roundQueries(q)) : q);
        assertClose(`${type} cache, window ${window}`, actual, expected, { rtol: 1e-5, atol: 3e-6 });
        if (type === 'f32') deepStrictEqual(actual, withoutCache, 'an f32 cache has the bits of no cache');
      }
    }
  });
}

test('any chunking of a sequence, in any blocks, beside any other sequence: the same bits', async () => {
  const device = await createWasmDevice();
  const [H, K] = [4, 2];
  await fc.assert(
    fc.asyncProperty(
      fc.constantFrom(12, 32),
      fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 4 }),
      fc.constantFrom(...kvTypes),
      fc.constantFrom(null, 3, 300),
      fc.nat(1000),
      async (E, chunks, type, window, seed) => {
        const total = chunks.reduce((a, b) => a + b, 0);
        const q = randomFloats(total * H * E, seed);
        const k = randomFloats(total * K * E, seed + 1);
        const v = randomFloats(total * K * E, seed + 2);
        const blocksPerRun = Math.ceil(total / 32);
        const options = { headSize: E, window };
        const run = async (parts: readonly number[], order: number) => {
          const mark = device.mark();
          const blockCount = 2 * blocksPerRun + 1;
          const store = device.createKvStore({ layerCount: 1, blockCount, kvHeadCount: K, headSize: E, type });
          const at = { store, layer: 0 };
          const blocks = Uint32Array.from({ length: blocksPerRun }, (_, i) => (order ? 2 * i + 1 : blocksPerRun - i));
          const other = Uint32Array.of(0);
          const mix = new Float32Array(total * H * E);
          let done = 0;
          for (const part of parts) {
            // one row of a stranger rides in front
            const N = part + order;
            const pad = (x: Float32Array, width: number) => {
              const rows = new Float32Array(N * width).fill(0.5);
              rows.set(x.subarray(done * width, (done + part) * width), order * width);
              return fromFloats(device, rows, [N, width]);
            };
            const spans = [{ firstRow: order, rowCount: part, firstPosition: done, blocks }];
            if (order) spans.unshift({ firstRow: 0, rowCount: 1, firstPosition: 0, blocks: other });
            const batch = { ids: new Uint32Array(N), positions: new Uint32Array(N), spans };
            device.ops.appendToCache(at, pad(k, K * E), pad(v, K * E), batch);
            const y = await device.read(device.ops.attention(pad(q, H * E), at, batch, options));
            mix.set(y.subarray(order * H * E), done * H * E);
            done += part;
          }
          device.release(mark);
          return mix;
        };
        deepStrictEqual(await run(chunks, 1), await run([total], 0));
      },
    ),
    { numRuns: 30 },
  );
});

test('a NaN in a later key or value does not reach earlier queries', async () => {
  const device = await createWasmDevice();
  const { H, K, E, N } = { H: 2, K: 1, E: 8, N: 40 };
  const batch = batchOfSequences([new Array<number>(N).fill(0)]);
  const k = randomFloats(N * K * E, 1);
  const v = randomFloats(N * K * E, 2);
  const run = async () => {
    const k_NP = fromFloats(device, k, [N, K * E]);
    const v_NP = fromFloats(device, v, [N, K * E]);
    const q_NQ = fromFloats(device, randomFloats(N * H * E, 3), [N, H * E]);
    return await device.read(device.ops.attention(q_NQ, { k_NP, v_NP }, batch, { headSize: E, window: null }));
  };
  const clean = await run();
  k[35 * E] = Number.NaN;
  v[35 * E + 1] = Number.POSITIVE_INFINITY;
  const dirty = await run();
  deepStrictEqual(dirty.subarray(0, 35 * H * E), clean.subarray(0, 35 * H * E));
  deepStrictEqual(
    dirty.subarray(35 * H * E).every((value) => Number.isNaN(value)),
    true,
  );
});

test('a copied block holds what the first one held', async () => {
  const device = await createWasmDevice();
  for (const type of kvTypes) {
    const store = device.createKvStore({ layerCount: 2, blockCount: 3, kvHeadCount: 2, headSize: 6, type });
    const run = async (block: number, append: boolean) => {
      const spans = [{ firstRow: 0, rowCount: 20, firstPosition: 0, blocks: Uint32Array.of(block) }];
      const batch = { ids: new Uint32Array(20), positions: new Uint32Array(20), spans };
      const x = (seed: number) => fromFloats(device, randomFloats(20 * 12, seed), [20, 12]);
      if (append) device.ops.appendToCache({ store, layer: 1 }, x(1), x(2), batch);
      return await device.read(device.ops.attention(x(3), { store, layer: 1 }, batch, { headSize: 6, window: null }));
    };
    const first = await run(0, true);
    device.copyKvBlock(store, 0, 2);
    deepStrictEqual(await run(2, false), first, type);
  }
});

test('attention whose scratch makes the memory grow is the same attention', async () => {
  const device = await createWasmDevice();
  const { batch } = pagedBatch([64]);
  const [H, E, N] = [4, 256, 64];
  const [q, k, v] = [0, 1, 2].map((seed) => fromFloats(device, randomFloats(N * H * E, seed), [N, H * E]));
  const attend = () => device.ops.attention(q!, { k_NP: k!, v_NP: v! }, batch, { headSize: E, window: 7 });
  const first = await device.read(attend());
  // Every size of what lies before: growth comes at some place within the call, sooner or later.
  for (let i = 0; i < 200; i++) {
    device.scratch([4096 + i * 64]);
    const mark = device.mark();
    const again = await device.read(attend());
    device.release(mark);
    ok(
      again.every((one, at) => one === first[at]),
      `after ${i} places`,
    );
  }
  device.close();
});
