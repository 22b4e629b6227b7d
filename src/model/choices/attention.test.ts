/** Chunks of attention, and queries that grow, against plain loops. */
import { deepStrictEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { testDevices } from '../../../test/support/devices.ts';
import { tinyConfig } from '../../../test/support/tiny-model.ts';
import { Random } from '../../base/random.ts';
import { type Batch, batchOfSequences } from '../../kernels/batch.ts';
import { KV_BLOCK_TOKENS } from '../../kernels/ops.ts';
import { rotation } from '../../kernels/rope/reference.ts';
import { attentionOptionsOf, reachOf } from './attention.ts';

const [CHUNK, T, E] = [2 * KV_BLOCK_TOKENS, 150, 8];
const config = {
  ...tinyConfig,
  headSize: E,
  windowKind: 'chunks',
  slidingWindow: CHUNK,
  slidingBlocks: [true, false],
} as const;
const random = new Random(3);
const draw = () => Float32Array.from({ length: T * E }, () => random.normal());
const [q, k, v] = [draw(), draw(), draw()];

/** One head, a mask of its own: key s is seen from t iff s ≤ t and both are of one chunk. */
function expected(chunk: number): number[] {
  return Array.from({ length: T }, (_, t) => {
    const seen = Array.from({ length: t + 1 }, (_, s) => s).filter(
      (s) => Math.floor(s / chunk) === Math.floor(t / chunk),
    );
    const scores = seen.map((s) => {
      let sum = 0;
      for (let e = 0; e < E; e++) sum += q[t * E + e]! * k[s * E + e]!;
      return Math.exp(sum / Math.sqrt(E));
    });
    const total = scores.reduce((a, b) => a + b, 0);
    return Array.from({ length: E }, (_, e) =>
      seen.reduce((sum, s, i) => sum + (scores[i]! / total) * v[s * E + e]!, 0),
    );
  }).flat();
}

const isClose = (name: string, found: ArrayLike<number>, want: readonly number[]) => {
  deepStrictEqual(found.length, want.length, name);
  for (const [i, one] of want.entries())
    ok(Math.abs(found[i]! - one) <= 1e-5, `${name} at ${i}: ${found[i]}, expected ${one}`);
};

for (const { name, create } of testDevices) {
  test(`a query sees its own chunk, all at once, in pieces over a cache, or in no chunks: ${name}`, async () => {
    const device = await create();
    const { ops } = device;
    const rows = (numbers: Float32Array, first: number, count: number) => {
      const tensor = device.scratch([count, E]);
      device.write(tensor, numbers.subarray(first * E, (first + count) * E));
      return tensor;
    };
    const [reach, options] = [reachOf(config, 0), attentionOptionsOf(config, 0, undefined)];
    const all = [q, k, v].map((numbers) => rows(numbers, 0, T));
    const batch = batchOfSequences([new Uint32Array(T)]);
    const own = { k_NP: all[1]!, v_NP: all[2]! };
    isClose('at once', await device.read(ops.attention(all[0]!, own, reach(batch), options)), expected(CHUNK));
    isClose(
      'no chunks',
      await device.read(ops.attention(all[0]!, own, reachOf(config, 1)(batch), options)),
      expected(T),
    );

    // Blocks of the cache in another order than the positions.
    const blocks = Uint32Array.of(3, 0, 4, 1, 2, 5);
    const store = device.createKvStore({ layerCount: 1, blockCount: 6, kvHeadCount: 1, headSize: E, type: 'f32' });
    const mixes: number[] = [];
    for (const [first, count] of [
      [0, 50],
      [50, 90],
      [140, 1],
      [141, 9],
    ] as const) {
      const positions = Uint32Array.from({ length: count }, (_, i) => first + i);
      const spans = [{ firstRow: 0, rowCount: count, firstPosition: first, blocks }];
      const piece: Batch = { ids: new Uint32Array(count), positions, spans };
      ops.appendToCache({ store, layer: 0 }, rows(k, first, count), rows(v, first, count), piece);
      const mix = ops.attention(rows(q, first, count), { store, layer: 0 }, reach(piece), options);
      mixes.push(...(await device.read(mix)));
    }
    isClose('over a cache', mixes, expected(CHUNK));
    device.close();
  });
}

test('queries grow by steps of their position', () => {
  const positions = Uint32Array.of(0, 8190, 8191, 16382, 16383, 10_000_000);
  const grown = new Float64Array(positions.length * 2);
  rotation(grown, positions, {
    inverse: new Float64Array(1),
    magnitude: 1,
    growth: { interval: 8192, offset: 1, slope: 0.1 },
  });
  const factors = [1, 1, 1 + 0.1 * Math.log(2), 1 + 0.1 * Math.log(2), 1 + 0.1 * Math.log(3), 1 + 0.1 * Math.log(1221)];
  deepStrictEqual(
    [...grown].map((one) => one.toFixed(12)),
    factors.flatMap((one) => [one.toFixed(12), '0.000000000000']),
  );
});
