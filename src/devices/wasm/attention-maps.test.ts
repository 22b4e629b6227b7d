import { deepStrictEqual, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { mapScores, mapShares, type Seen } from '../../kernels/attention/maps/reference.ts';
import type { AttentionOptions } from '../../kernels/ops.ts';
import { fromFloats } from '../device.ts';
import { createWasmDevice } from './device.ts';
import { randomFloats } from './testing.ts';

const wanted = new Set(['scores', 'probabilities'] as const);

/** q·k of one head, in f64. */
function productsOf(q: Float32Array, k: Float32Array, N: number, E: number, at: { h: number; H: number; K: number }) {
  const { h, H, K } = at;
  const g = Math.floor((h * K) / H);
  return Float64Array.from({ length: (q.length / (H * E)) * N }, (_, i) => {
    const [r, s] = [Math.floor(i / N), i % N];
    let product = 0;
    for (let e = 0; e < E; e++) product += q[(r * H + h) * E + e]! * k[(s * K + g) * E + e]!;
    return product;
  });
}

/** Every last key once, from a first one that jumps about. */
const seenOf = (R: number): Seen[] => Array.from({ length: R }, (_, n) => ({ first: (n * 7) % (n + 1), last: n }));

const cases: readonly [what: string, sizes: { H: number; K: number; E: number; N: number }, more: object][] = [
  ['one key', { H: 1, K: 1, E: 1, N: 1 }, {}],
  ['more queries than one product takes', { H: 2, K: 1, E: 5, N: 150 }, {}],
  ['a scale of its own', { H: 4, K: 2, E: 8, N: 33 }, { scale: 0.3 }],
  ['a cap', { H: 4, K: 4, E: 24, N: 41 }, { cap: 1.5, scale: 0.5 }],
  ['sinks', { H: 4, K: 2, E: 8, N: 17 }, { sinks: [-90, 0, 3, 90] }],
];
for (const [what, { H, K, E, N }, { sinks, ...more }] of cases as [
  string,
  (typeof cases)[0][1],
  { sinks?: number[] },
][]) {
  test(`attention maps with ${what}: as the reference makes them`, async () => {
    const device = await createWasmDevice();
    const [q, k] = [randomFloats(N * H * E, 1), randomFloats(N * K * E, 2)];
    const [q_RQ, k_NP] = [fromFloats(device, q, [N, H * E]), fromFloats(device, k, [N, K * E])];
    const seen_R = seenOf(N);
    const sinks_H = sinks && fromFloats(device, sinks, [H]);
    const options: AttentionOptions = { headSize: E, window: null, sinks_H, ...more };
    const heads = Uint32Array.from({ length: H }, (_, i) => H - 1 - i);
    const made = device.attentionMaps!(q_RQ, k_NP, { ...options, seen_R, heads, wanted });
    const [scores, shares] = [await device.read(made.scores!), await device.read(made.probabilities!)];
    for (const name of wanted) {
      const alone = device.attentionMaps!(q_RQ, k_NP, { ...options, seen_R, heads, wanted: new Set([name]) });
      deepStrictEqual(await device.read(alone[name]!), name === 'scores' ? scores : shares, `only ${name}`);
    }
    for (const [i, h] of heads.entries()) {
      const expected = productsOf(q, k, N, E, { h, H, K });
      mapScores(expected, expected, seen_R, { E, ...more });
      const head = [i * N * N, (i + 1) * N * N] as const;
      assertClose(`scores of head ${h}`, scores.subarray(...head), expected, { atol: 1e-5, rtol: 1e-5 });
      mapShares(expected, expected, seen_R, sinks?.[h]);
      assertClose(`shares of head ${h}`, shares.subarray(...head), expected, { atol: 1e-6, rtol: 1e-5 });
    }
    device.close();
  });
}

test('attention maps of scores that are far from 0 or not numbers', async () => {
  const device = await createWasmDevice();
  const q_RQ = fromFloats(device, [1e4, -1e30, Number.NaN], [3, 1]);
  const k_NP = fromFloats(device, [1, 2, 3], [3, 1]);
  const seen_R = [0, 1, 2].map((last) => ({ first: 0, last }));
  const options = { headSize: 1, window: null, seen_R, heads: Uint32Array.of(0), wanted };
  const shares = await device.read(device.attentionMaps!(q_RQ, k_NP, options).probabilities!);
  deepStrictEqual([...shares.subarray(0, 6)], [1, 0, 0, 1, 0, 0]);
  ok(shares.subarray(6).every(Number.isNaN));
  device.close();
});
