/** Promise 2: same model, same prompt, same seed → the same bits, whatever the threads, the chunks and the company; for every weight type. */
import { deepStrictEqual } from 'node:assert/strict';
import { after, test } from 'node:test';
import { testDevices } from '../../test/support/devices.ts';
import { runAll, submit, tinyConfig, tinyEngine, tinyWeights } from '../../test/support/tiny-model.ts';
import { randomWeights } from '../devices/wasm/testing.ts';
import type { LlamaConfig } from '../model/config.ts';
import { loadModel } from '../model/model.ts';
import { recode } from '../quant/recode.ts';
import { codecs } from '../quant/rows.ts';
import { type WeightType, weightTypes } from '../tensor/dtype.ts';
import type { TensorSource } from '../tensor/source.ts';
import { columnCount, rowCount } from '../tensor/tensor.ts';

const config = { ...tinyConfig, width: 256, headSize: 64, ffnWidth: 256, blockCount: 1 };
/** What relatives choose otherwise. */
const relatives: Readonly<Record<string, LlamaConfig>> = {
  'norms and windows': {
    ...config,
    blockCount: 2,
    normPlacement: 'both',
    qkNorm: 'head',
    activation: 'geglu-tanh',
    embeddingScale: 16,
    attentionCap: 20,
    logitCap: 10,
    slidingWindow: 9,
    slidingBlocks: [true, false],
    slidingTheta: 100,
  },
  'experts and sinks': {
    ...config,
    experts: {
      count: 5,
      used: 2,
      width: 64,
      weights: 'chosen',
      weighs: 'results',
      shared: null,
      blocks: null,
      bias: true,
    },
    swigluLimit: 7,
    attentionSinks: true,
  },
  'chunks, growing queries, weighed inputs': {
    ...config,
    blockCount: 2,
    qkNorm: 'unit',
    rotatedBlocks: [true, false],
    queryGrowth: { interval: 4, offset: 1, slope: 0.3, blocks: 'unrotated' },
    windowKind: 'chunks',
    slidingWindow: 32,
    slidingBlocks: [true, false],
    experts: {
      count: 4,
      used: 2,
      width: 64,
      weights: 'sigmoid',
      weighs: 'inputs',
      shared: 32,
      blocks: [false, true],
      bias: false,
    },
  },
};
const prompts = [37, 5, 64].map((length, seed) =>
  Uint32Array.from({ length }, (_, i) => (i * 29 + seed * 11 + i * i) % 96),
);

/** All weights of two dimensions in one type; where it has no encoder, random blocks. */
function stored(dtype: WeightType, weights: ReadonlyMap<string, TensorSource>): ReadonlyMap<string, TensorSource> {
  const inType = (source: TensorSource) =>
    'encode' in codecs[dtype]
      ? recode(source, dtype)
      : randomWeights(dtype, rowCount(source.shape), columnCount(source.shape), 3).source;
  return new Map([...weights].map(([name, source]) => [name, source.shape.length === 1 ? source : inType(source)]));
}

const devices = await Promise.all(
  testDevices
    .filter(({ name }) => /^wasm( on|$)/.test(name))
    .map(async ({ name, create }) => ({ name, device: await create() })),
);
after(() => {
  for (const { device } of devices) device.close();
});

for (const dtype of weightTypes) sameBits(dtype, config, dtype);
for (const [name, choices] of Object.entries(relatives)) {
  for (const dtype of ['f32', 'Q8_0'] as const) sameBits(`${name} in ${dtype}`, choices, dtype);
}

function sameBits(title: string, chosen: LlamaConfig, dtype: WeightType): void {
  const weights = stored(dtype, tinyWeights(chosen));
  test(`${title}: threads, chunks and company change no bit`, async () => {
    let want: string[] | null = null;
    for (const { name, device } of devices) {
      const model = loadModel(device, chosen, weights);
      for (const [batchTokens, company] of [
        [512, 'together'],
        [1, 'alone'],
        [11, 'together'],
        [33, 'alone'],
      ] as const) {
        const engine = tinyEngine(device, { model, kvType: 'f16', batchTokens });
        const outcomes: ReturnType<typeof submit>[] = [];
        for (const ids of prompts) {
          outcomes.push(submit(engine, ids, { temperature: 0, maxTokens: 4, logprobs: 4 }));
          if (company === 'alone') await runAll(engine);
        }
        await runAll(engine);
        const got = outcomes.map(({ pieces }) => JSON.stringify(pieces));
        want ??= got;
        deepStrictEqual(got, want, `on ${name}, ${company}, chunks of ${batchTokens}`);
      }
    }
  });
}
