/** Promise 2: same model, same prompt, same seed → the same bits, whatever the threads, the chunks and the company; for every weight type. */
import { deepStrictEqual } from 'node:assert/strict';
import { after, test } from 'node:test';
import { testDevices } from '../../test/support/devices.ts';
import { runAll, submit, tinyConfig, tinyEngine, tinyWeights } from '../../test/support/tiny-model.ts';
import { randomWeights } from '../devices/wasm/testing.ts';
import { loadModel } from '../model/model.ts';
import { recode } from '../quant/recode.ts';
import { codecs } from '../quant/rows.ts';
import { type WeightType, weightTypes } from '../tensor/dtype.ts';
import type { TensorSource } from '../tensor/source.ts';
import { columnCount, rowCount } from '../tensor/tensor.ts';

const config = { ...tinyConfig, width: 256, headSize: 64, ffnWidth: 256, blockCount: 1 };
const weights = tinyWeights(config);
const prompts = [37, 5, 64].map((length, seed) =>
  Uint32Array.from({ length }, (_, i) => (i * 29 + seed * 11 + i * i) % 96),
);

/** All weights of two dimensions in one type; where it has no encoder, random blocks. */
function stored(dtype: WeightType): typeof weights {
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

for (const dtype of weightTypes) {
  test(`${dtype}: threads, chunks and company change no bit`, async () => {
    let want: string[] | null = null;
    for (const { name, device } of devices) {
      const model = loadModel(device, config, stored(dtype));
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
