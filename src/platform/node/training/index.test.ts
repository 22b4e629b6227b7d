/** The library as a program uses it: load, train, then use and save the model. Numbers: test/golden/training. */
import { deepEqual, ok, rejects } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertClose } from '../../../../test/support/close.ts';
import { goldenJson, goldenPath, goldenTensors } from '../../../../test/support/golden.ts';
import { goldenStep } from '../../../../test/support/training.ts';
import { Llama } from '../index.ts';
import { Trainer } from './index.ts';

const folder = 'training/llama2-recipe';
const recipe = {
  optimizer: { betas: [0.9, 0.95], eps: 1e-5, weightDecay: 0.1, decay: 'matrices' },
  schedule: { learningRate: 0.008, warmupSteps: 4, totalSteps: 20, finalFraction: 0.1 },
  clip: 1,
  recompute: 'cheap',
} as const;

for (const device of ['wasm', 'reference'] as const) {
  test(`twenty steps of the Llama 2 recipe through the public API on ${device}; the model then has the new weights`, async () => {
    const expected = goldenJson<{ loss: number[] }>(`${folder}/expected.json`);
    const batches = goldenTensors(`${folder}/batches.safetensors`);
    const steps = batches.input_ids!.shape[0]!;
    const ids = [5, 9, 2, 77];
    await using model = await Llama.load(goldenPath(`${folder}/init`), { device, threads: 1 });
    const before = await model.logits(ids);
    await using trainer = await Trainer.create(model, recipe);
    const losses: number[] = [];
    for (let step = 0; step < 20; step++) losses.push((await trainer.step(goldenStep(batches, step % steps))).loss);
    assertClose('losses', losses, expected.loss, { atol: 5e-5 });
    const after = await model.logits(ids);
    ok(after.some((x, i) => Math.abs(x - before[i]!) > 0.5));

    const path = mkdtempSync(join(tmpdir(), 'cria-trained-'));
    await model.save(join(path, 'trained'), { format: 'safetensors', dtype: 'f32' });
    const final = goldenTensors(`${folder}/expected.safetensors`);
    await using again = await Llama.load(join(path, 'trained'), { device, threads: 1 });
    deepEqual(await again.logits(ids), after);
    rmSync(path, { recursive: true });
    ok(Object.keys(final).length > 0);
  });
}

test('gradients by name; wrong options are refused, all at once', async () => {
  await using model = await Llama.load(goldenPath(`${folder}/init`), { threads: 1 });
  await using trainer = await Trainer.create(model, recipe);
  const { loss, gradients } = await trainer.gradients([{ ids: [1, 2, 3, 4], rows: 2, length: 2 }]);
  ok(loss > 0 && gradients.get('blocks.1.wDown_DF')!.data.some((x) => x !== 0));
  const dropout = { rates: { embedding: 1 } };
  const wrong = { ...recipe, recompute: 'all', clip: -1, decay: 'all', ema: 1, dropout } as unknown as typeof recipe;
  const words =
    /decay is not an option; recompute is all.*clip is -1.*; ema is 1, expected .*; dropout must be \{ rates/;
  await rejects(Trainer.create(model, wrong), words);
  const averaged = { ...recipe, weights: 'averaged' } as const;
  await rejects(Trainer.create(model, averaged), /weights is averaged, and no average is kept.*ema: 0\.999/);
});

test('with an average of the weights the model computes with it, or with what is trained, as was asked', async () => {
  const decay = 0.5;
  const micro = [{ ids: [1, 2, 3, 4], rows: 2, length: 2 }];
  const weightsOf = async (weights: 'trained' | 'averaged') => {
    await using model = await Llama.load(goldenPath(`${folder}/init`), { threads: 1 });
    await using trainer = await Trainer.create(model, { ...recipe, blas: false, ema: decay, weights });
    const seen: Float32Array[] = [];
    for (let step = 0; step < 2; step++) {
      await trainer.step(micro);
      seen.push(await model.parameterRows('norm_D', 0, 1));
    }
    return seen as [Float32Array, Float32Array];
  };
  const [first, second] = await weightsOf('trained');
  const [begun, averaged] = await weightsOf('averaged');
  deepEqual(begun, first);
  const mean = Float32Array.from(first, (w, i) => (decay * w + second[i]!) / (1 + decay));
  ok(averaged.some((x, i) => x !== second[i]));
  assertClose('average', averaged, mean, { atol: 1e-6 });
});
