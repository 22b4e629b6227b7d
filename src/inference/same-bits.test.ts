/** Promise 2: same model, same prompt, same seed → the same bits, whatever the threads, the chunks and the company; for every weight type. */
import { strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { testDevices } from '../../test/support/devices.ts';
import { runAll, submit, tinyConfig, tinyEngine, tinyWeights } from '../../test/support/tiny-model.ts';
import { loadModel } from '../model/model.ts';
import { recode } from '../quant/recode.ts';
import { type WeightType, weightTypes } from '../tensor/dtype.ts';

const config = { ...tinyConfig, width: 256, headSize: 64, ffnWidth: 256, blockCount: 1 };
const weights = tinyWeights(config);
const prompts = [37, 5, 64].map((length, seed) =>
  Uint32Array.from({ length }, (_, i) => (i * 29 + seed * 11 + i * i) % 96),
);

/** All weights of two dimensions in one type. */
function stored(dtype: WeightType): typeof weights {
  return new Map(
    [...weights].map(([name, source]) => [name, source.shape.length === 1 ? source : recode(source, dtype)]),
  );
}

for (const dtype of weightTypes) {
  test(`${dtype}: threads, chunks and company change no bit`, async () => {
    let want: string[] | null = null;
    for (const { name, create } of testDevices.filter(({ name }) => /^wasm( on|$)/.test(name))) {
      const device = await create();
      const model = loadModel(device, config, stored(dtype));
      for (const batchTokens of [512, 1, 11]) {
        for (const together of [true, false]) {
          const engine = tinyEngine(device, { model, kvType: 'f16', batchTokens });
          const outcomes = prompts.map((ids) => {
            const outcome = submit(engine, ids, { temperature: 0, maxTokens: 4, logprobs: 4 });
            if (!together) runAll(engine);
            return outcome;
          });
          runAll(engine);
          const got = outcomes.map(({ pieces }) => JSON.stringify(pieces));
          want ??= got;
          for (const [i, text] of got.entries()) {
            strictEqual(
              text,
              want[i],
              `prompt ${i} on ${name}, ${together ? 'together' : 'alone'}, chunks of ${batchTokens}`,
            );
          }
        }
      }
      device.close();
    }
  });
}
