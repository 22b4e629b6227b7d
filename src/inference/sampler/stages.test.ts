import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { generate, tinyEngine, tinyModel } from '../../../test/support/tiny-model.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import { logitsOf } from '../observe.ts';
import { samplerStages } from './stages.ts';

test('by hand: top-k keeps two, the temperature changes shares, the number drawn decides', () => {
  const logits = Float64Array.from([1, 2, 3, 4], (share) => Math.log(share));
  const sampling = { topK: 2, topP: 1, minP: 0, temperature: 0.5, seed: 7 };
  const { stages, draw, id } = samplerStages(logits, 4, Uint32Array.of(0), 1, { most: 3, sampling });
  const of = (name: string) => stages.find((stage) => stage.name === name)!;
  deepStrictEqual([of('logits').count, of('top_k').count, of('pick').count], [4, 2, 2]);
  deepStrictEqual(
    of('logits').best.map((c) => [c.id, Number(c.probability.toFixed(6))]),
    [
      [3, 0.4],
      [2, 0.3],
      [1, 0.2],
    ],
  );
  // After squaring, 4 and 3 are 16 and 9.
  deepStrictEqual(
    of('pick').best.map((c) => Number(c.probability.toFixed(6))),
    [16 / 25, 9 / 25],
  );
  ok(draw !== null && draw >= 0 && draw < 1);
  strictEqual(id, draw < 16 / 25 ? 3 : 2);
});

test('the choices are those of the engine with the same seed, token after token', async () => {
  const device = createReferenceDevice();
  const model = tinyModel(device);
  const prompt = Uint32Array.of(5, 9, 80);
  const sampling = { temperature: 1.2, topK: 30, topP: 0.9, seed: 11, repeatPenalty: 1.1 };
  const { ids: tokens } = await generate(tinyEngine(device, { model }), prompt, { ...sampling, maxTokens: 12 });
  const ids = Uint32Array.from([...prompt, ...tokens]);
  const logits = await logitsOf(device, model, ids);
  for (let step = 0; step < tokens.length; step++) {
    const rows = logits.subarray((prompt.length - 1) * 96, (prompt.length + step) * 96);
    strictEqual(samplerStages(rows, 96, ids, prompt.length, { most: 1, sampling }).id, tokens[step]);
  }
});

test('greedy: one candidate is left and nothing is drawn', () => {
  const { id, draw } = samplerStages(Float32Array.of(1, 5, 2), 3, Uint32Array.of(0), 1, {
    most: 3,
    sampling: { temperature: 0 },
  });
  deepStrictEqual([id, draw], [1, null]);
});
