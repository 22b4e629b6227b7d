import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { tinyConfig, tinyModel, tinyWeights } from '../../test/support/tiny-model.ts';
import { createReferenceDevice } from '../devices/reference/device.ts';
import { trace } from '../inference/observe.ts';
import { nearestRows, parameterRows } from '../inference/reading/parameters.ts';
import { Traces } from '../inference/remote/traces.ts';
import { goldenSentencePiece } from '../tokenizer/testing/golden-files.ts';
import { Factory } from './factory.ts';
import type { ExplorerModel, PageSource } from './model.ts';
import { answerCall, pageModelOf, servedModel } from './page-model.ts';

const device = createReferenceDevice();
const model = tinyModel(device);
const weights = tinyWeights();
const explored: PageSource = {
  config: tinyConfig,
  facts: {
    name: 'tiny',
    config: tinyConfig,
    kvType: 'f32',
    dtypes: ['f32'],
    contextLength: 256,
  } as unknown as ExplorerModel['facts'],
  hasTokenizer: true,
  tokenizer: goldenSentencePiece('tokenizers/sp-bpe-512'),
  trace: async (ids, names, slice) => new Traces(await trace(device, model, Uint32Array.from(ids), names, slice)),
  parameterRows: async (name, from, to) => parameterRows(weights, name, from, to),
  nearestRows: async (name, row, count) => nearestRows(weights, name, row, count),
  generate: (ids) => ({
    result: Promise.resolve({
      ids: Uint32Array.of(ids.length, 7, 9),
      timings: {
        ...{ cache_n: 1, prompt_n: 2, prompt_ms: 6, prompt_per_token_ms: 3, prompt_per_second: 1 },
        ...{ predicted_n: 3, predicted_ms: 4, predicted_per_token_ms: 1, predicted_per_second: 1 },
      },
    }),
  }),
};

test('a model behind a server gives what the same model gives in the page', async () => {
  const here = pageModelOf(explored);
  // As over HTTP: JSON there, bytes back.
  const there = await servedModel(
    async (call) => (await answerCall(explored, JSON.parse(JSON.stringify(call)))).buffer,
  );
  deepStrictEqual(there.facts, JSON.parse(JSON.stringify(here.facts)));
  deepStrictEqual(there.pieces, here.pieces);
  deepStrictEqual(await there.read('the llama'), await here.read('the llama'));
  const slice = { rows: [2, 0], heads: [1], without: ['blocks.0.attention.output'] };
  const names = ['blocks.1.attention.*', 'hidden.*', 'probabilities'];
  deepStrictEqual(await there.trace([5, 9, 80], names, slice), await here.trace([5, 9, 80], names, slice));
  deepStrictEqual(await there.parameterRows('embed_VD', 3, 5), await here.parameterRows('embed_VD', 3, 5));
  const steps = { ids: [3, 7, 9], computed: 2, cached: 1, promptMs: 6, tokenMs: 2 };
  deepStrictEqual([await there.decode([5, 9, 80]), await here.decode([5, 9, 80])], [steps, steps]);
  deepStrictEqual(await there.nearestRows('embed_VD', 3, 4), await here.nearestRows('embed_VD', 3, 4));
});

test('what is no question, and what is too much, is refused in words', async () => {
  const strange = [
    null,
    7,
    {},
    { method: 'close' },
    { method: 'read', text: 5 },
    { method: 'decode', ids: 'all' },
    { method: 'trace', ids: ['a'], names: [] },
  ];
  for (const call of [...strange, { method: 'trace', ids: [1], names: ['norm'], slice: { rows: 'all' } }]) {
    await rejects(answerCall(explored, call), { code: 'explore.call' });
  }
  const ids = new Array(200_000).fill(1);
  await rejects(answerCall(explored, { method: 'trace', ids, names: ['blocks.0.attention.scores'] }), {
    code: 'explore.size',
  });
  await rejects(answerCall(explored, { method: 'trace', ids: [1], names: ['nothing'] }), { code: 'trace.names' });
  await rejects(answerCall(explored, { method: 'parameterRows', name: 'embed_VD', from: -1, to: 5 }), {
    code: 'parameters.rows',
  });
});

test('the phone factory learns under every norm, and the same seed gives the same run', async () => {
  for (const norm of ['none', 'batch', 'layer', 'rms'] as const) {
    const losses: number[] = [];
    const factory = new Factory(norm, 3);
    for (let step = 0; step < 60; step++) losses.push((await factory.learn(0.01)).loss);
    const mean = (from: number) => losses.slice(from, from + 10).reduce((a, b) => a + b) / 10;
    ok(mean(50) < mean(0), `${norm}: ${mean(0)} → ${mean(50)}`);
    const again = await new Factory(norm, 3).learn(0.01);
    strictEqual(again.loss, losses[0]);
    if (norm === 'batch')
      ok(
        Math.abs(again.mean) < 1e-6 && Math.abs(again.deviation - 1) < 0.01,
        'layer 2 receives a standard mean and deviation',
      );
  }
});
