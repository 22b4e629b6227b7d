import assert from 'node:assert/strict';
import { test } from 'node:test';
import { presets } from '../../model/presets.ts';
import { randomWeights } from '../../model/random-weights.ts';
import { loadNative } from '../../platform/node/native/machine-code.ts';
import { measureLimits } from './limits/limits.ts';
import { planTests, testName } from './measure.ts';
import { shortestSeconds, weightBytesOf, workOf } from './roofline.ts';

const config = { ...presets['stories-260k'], vocabSize: 512 };
const model = { config, tensors: randomWeights(config, 0, ({ shape }) => (shape.length === 1 ? 'f32' : 'f16')) };
const { width: D, blockCount: L, ffnWidth: F, vocabSize: V } = config;
const P = config.kvHeadCount * config.headSize;
const blocks = L * (2 * D * D + 2 * P * D + 3 * F * D);

test('the work of a token, by hand', () => {
  const work = workOf(model, 'f16');
  assert.equal(work.f32Weights, blocks);
  assert.equal(work.int8Weights, 0);
  assert.equal(work.headWeights, V * D);
  // in memory: whole groups of 64 rows, which the feed-forward's 172 and the keys' 32 are not, and 8 powers of two of 16 bytes a group
  const kept = (rows: number, columns: number) => Math.ceil(rows / 64) * (64 * columns * 2 + 8 * 16);
  const inBlock = 2 * kept(D, D) + 2 * kept(P, D) + 2 * kept(F, D) + kept(D, F);
  assert.equal(work.weightBytes, L * inBlock + kept(V, D));
  assert.equal(work.contextBytes, 2 * L * P * 2);
  assert.equal(work.contextMultiplies, 2 * L * D);
});

test('decoding is bound by memory, a prompt by arithmetic', () => {
  const work = workOf(model, 'f16');
  const limits = { readBytesPerSecond: 1e9, int8PerSecond: 1e9, f32PerSecond: 1e11 };
  const decode = shortestSeconds(work, { prompt: 0, generate: 1, depth: 9 }, 512, limits);
  assert.ok(Math.abs(decode - (work.weightBytes + 11 * work.contextBytes) / 1e9) < 1e-12, String(decode));
  const slow = { ...limits, f32PerSecond: 1e7 };
  const prompt = shortestSeconds(work, { prompt: 3, generate: 0, depth: 0 }, 512, slow);
  const multiplies = 3 * blocks + V * D + (1 + 2 + 3) * work.contextMultiplies;
  assert.ok(Math.abs(prompt - multiplies / 1e7) < 1e-12, String(prompt));
});

test('a token goes through its own experts, a batch through more of them, and never through more than there are', () => {
  const experts = {
    count: 8,
    used: 2,
    width: 64,
    weights: 'chosen',
    weighs: 'results',
    shared: null,
    blocks: null,
    bias: false,
  } as const;
  const routed = { ...config, experts };
  const tensors = randomWeights(routed, 0, ({ shape }) => (shape.length === 1 ? 'f32' : 'f16'));
  const work = workOf({ config: routed, tensors }, 'f16');
  assert.equal(work.f32Weights, L * (2 * D * D + 2 * P * D + 8 * D + 2 * 3 * 64 * D));
  // 8 experts of three matrices; kept by groups of 64 rows
  const kept = (rows: number, columns: number) => Math.ceil(rows / 64) * (64 * columns * 2 + 8 * 16);
  const stacks = 2 * kept(8 * 64, D) + kept(8 * D, 64);
  assert.equal(work.expertBytes, L * stacks);
  const bytes = [1, 2, 4, 100].map((tokens) => weightBytesOf(work, tokens) - work.weightBytes);
  assert.deepEqual(
    bytes,
    [stacks / 4, stacks / 2, stacks, stacks].map((one) => L * one),
  );
});

test('batches read the weights again', () => {
  const work = workOf(model, 'f16');
  const limits = { readBytesPerSecond: 1, int8PerSecond: 1e20, f32PerSecond: 1e20 };
  const two = shortestSeconds(work, { prompt: 8, generate: 0, depth: 0 }, 4, limits);
  assert.equal(two, 2 * work.weightBytes + (4 + 8) * work.contextBytes);
});

test("llama-bench's names, in its order", () => {
  const tests = planTests([128, 0], [32], [[16, 4]], [0, 512]);
  const names = ['pp128', 'tg32', 'pp16+tg4'];
  assert.deepEqual(tests.map(testName), [...names, ...names.map((name) => `${name} @ d512`)]);
  const together = planTests([0], [8], [], [0, 4], [1, 2]).map(testName);
  assert.deepEqual(together, ['tg8', 'tg8@2', 'tg8 @ d4', 'tg8@2 @ d4']);
});

const native = loadNative();
const isWide = typeof native !== 'string' && native.place.way === 'AVX-512';

test("the machine's limits are measured, on two threads too", async () => {
  for (const threads of [1, 2]) {
    for (const rate of Object.values(await measureLimits(threads, { wide: false, native: isWide })))
      assert.ok(rate > 1e7, String(rate));
  }
});
