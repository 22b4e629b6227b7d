import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { generate, runAll, submit, tinyConfig, tinyEngine, tinyModel } from '../../../test/support/tiny-model.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import type { Engine } from '../engine.ts';
import { trace } from '../observe.ts';
import { poolings } from './embedding.ts';

const ids = (length: number) => Uint32Array.from({ length }, (_, i) => (i * 13 + 5) % 96);
const device = createReferenceDevice();
const model = tinyModel(device);

function embed(engine: Engine, prompt: Uint32Array, pooling: (typeof poolings)[number]): Promise<Float32Array> {
  return new Promise((done, failed) => void engine.embed(prompt, pooling, { done, failed }));
}

async function alone(prompt: Uint32Array, pooling: (typeof poolings)[number]): Promise<Float32Array> {
  const engine = tinyEngine(device, { model });
  const vector = embed(engine, prompt, pooling);
  await runAll(engine);
  return vector;
}

test('an embedding is what the states of all positions come to, however it is cut and whoever shares its batch', async () => {
  const D = tinyConfig.width;
  const states_ND = (await trace(device, model, ids(70), ['hidden.norm'])).get('hidden.norm')!.data;
  const mean = Float32Array.from({ length: D }, (_, d) => {
    let sum = 0;
    for (let n = 0; n < 70; n++) sum += states_ND[n * D + d]!;
    return sum / 70;
  });
  const expected = { mean, last: states_ND.slice(69 * D), cls: states_ND.slice(0, D) };
  for (const pooling of poolings) {
    const whole = await alone(ids(70), pooling);
    assertClose(pooling, whole, expected[pooling], { atol: 1e-6, rtol: 0 });
    for (const batchTokens of [7, 512]) {
      const engine = tinyEngine(device, { model, batchTokens, sharedPromptTokens: 16 });
      await generate(engine, ids(70), { temperature: 0, maxTokens: 1 }); // the cache knows the text, which must not matter
      const talking = submit(engine, ids(20).reverse(), { temperature: 0, maxTokens: 30 });
      const vector = embed(engine, ids(70), pooling);
      await runAll(engine);
      deepStrictEqual(await vector, whole, `${pooling}, ${batchTokens} rows`);
      const talkingAlone = await generate(tinyEngine(device, { model }), ids(20).reverse(), {
        temperature: 0,
        maxTokens: 30,
      });
      deepStrictEqual(talking.result!.ids, talkingAlone.ids);
      strictEqual(engine.load.usedBlocks, 0);
    }
  }
});

test('an embedding makes room for older sequences, and begins again; an aborted one leaves nothing', async () => {
  const engine = tinyEngine(device, { model, contextLength: 128, cacheTokens: 128, batchTokens: 16 });
  const older = submit(engine, ids(60), { temperature: 0, maxTokens: 60 });
  await engine.step();
  const vector = embed(engine, ids(50), 'mean');
  await runAll(engine);
  strictEqual(older.result!.ids.length, 60);
  deepStrictEqual(await vector, await alone(ids(50), 'mean'));

  const failing = new Promise<Float32Array>((done, failed) => {
    engine.embed(ids(50), 'mean', { done, failed }).abort();
  });
  await runAll(engine);
  await rejects(failing, { name: 'AbortError' });
  strictEqual(engine.load.usedBlocks, 0);
  ok(engine.load.running + engine.load.waiting === 0);
});
