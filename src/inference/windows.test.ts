/** Where every block has a sliding window, the cache holds what they see, and no more; the tokens are the same. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { submit, tinyConfig, tinyEngine, tinyWeights } from '../../test/support/tiny-model.ts';
import { createReferenceDevice } from '../devices/reference/device.ts';
import type { LlamaConfig } from '../model/config.ts';
import { loadModel } from '../model/model.ts';

const contextLength = 512;
const prompt = (length: number) => Uint32Array.from({ length }, (_, i) => (i * 31 + 17 + i * i) % 96);

function engineOf(choices: Partial<LlamaConfig>, options: object) {
  const device = createReferenceDevice();
  const config = { ...tinyConfig, contextLength, ...choices };
  const model = loadModel(device, config, tinyWeights(config));
  return tinyEngine(device, { model, contextLength, batchTokens: 40, ...options });
}

/** The tokens of each prompt, and the most blocks that were used at a time. */
async function generate(engine: ReturnType<typeof tinyEngine>, lengths: readonly number[], maxTokens: number) {
  const outcomes = lengths.map((length) => submit(engine, prompt(length), { temperature: 0, maxTokens }));
  let most = 0;
  while (await engine.step()) most = Math.max(most, engine.load.usedBlocks);
  return { texts: outcomes.map(({ result }) => [...result!.ids]), most };
}

test('a cache for the windows alone gives the tokens of a cache for everything, alone and in company', async () => {
  const slidingWindow = 50;
  const all = await generate(engineOf({ slidingWindow }, { cacheTokens: 4096 }), [200, 90], 150);
  const tight = engineOf({ slidingWindow }, { cacheTokens: 1 });
  ok(tight.load.blockCount < 350 / 32, String(tight.load.blockCount));
  const one = await generate(tight, [200], 150);
  deepStrictEqual(one.texts[0], all.texts[0]);
  // A window, a batch of 40 rows, and the blocks at both ends.
  ok(one.most <= Math.ceil((slidingWindow + 40 + 64) / 32), String(one.most));
  strictEqual(tight.load.usedBlocks, 0);
  const both = await generate(tight, [200, 90], 150);
  deepStrictEqual(both.texts, all.texts);
});

test('where one block sees everything, everything is kept', async () => {
  const engine = engineOf({ slidingWindow: 50, slidingBlocks: [true, false] }, {});
  const { most } = await generate(engine, [200], 50);
  strictEqual(most, Math.ceil(249 / 32));
});
