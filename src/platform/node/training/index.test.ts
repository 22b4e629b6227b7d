/** The library as a program uses it: load, train, then use and save the model. Numbers: test/golden/training. */
import { deepEqual, ok, rejects, throws } from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { assertClose } from '../../../../test/support/close.ts';
import { goldenJson, goldenPath, goldenTensors } from '../../../../test/support/golden.ts';
import { goldenStep } from '../../../../test/support/training.ts';
import { byteVocabulary } from '../../../tokenizer/byte-vocabulary.ts';
import { createTokenizer } from '../../../tokenizer/create-tokenizer.ts';
import { Llama } from '../index.ts';
import { initialModel, Trainer, textBatches } from './index.ts';

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

const text =
  'The cat sat on the mat. The dog ran to the cat. They were glad, and sat on the mat together.\n<|endoftext|>\nThe end.';

test('from a text alone: fresh weights, batches, a GGUF file, and a model that goes on with what was learnt after the trainer was closed', async () => {
  const shape = { depth: 1, width: 32, heads: 2, contextLength: 32 };
  const file = await initialModel(shape, { seed: 3 });
  await using model = await Llama.load(file, { threads: 1, device: 'wasm' });
  deepEqual([model.config.width, model.config.vocabSize], [32, 260]);
  const before = await model.logits([1, 5, 9]);
  const trainer = await Trainer.create(model, { schedule: () => 0.01, blas: false });
  const batches = textBatches(model.tokenizer, text, { rows: 4, length: 32 });
  const losses: number[] = [];
  for (let step = 0; step < 12; step++) losses.push((await trainer.step([batches.next().value])).loss);
  ok(Math.abs(losses[0]! - Math.log(260)) < 0.1 && losses.at(-1)! < 0.8 * losses[0]!, losses.join(' '));
  const written = await trainer.toGguf();
  await trainer.close();
  const after = await model.logits([1, 5, 9]);
  ok(after.some((x, i) => x !== before[i]));
  await using again = await Llama.load(written, { threads: 1, device: 'wasm' });
  deepEqual(await again.logits([1, 5, 9]), after);
  await rejects(trainer.toGguf(), /Trainer: it was closed/);
});

test('an adapter over quantized weights: only it is trained, merged into what the model computes and saves', async () => {
  const source = goldenPath('formats/gguf-llama-mixed/model.gguf');
  await using model = await Llama.load(source, { threads: 1, device: 'wasm' });
  const rows = await model.parameterRows('blocks.0.wq_QD', 0, 2);
  const norms = await model.parameterRows('norm_D', 0, 1);
  await using trainer = await Trainer.create(model, {
    schedule: () => 0.02,
    blas: false,
    adapter: { rank: 2, alpha: 4, dropout: 0.1, base: 'q8_0', targets: ['q_proj', 'v_proj'] },
  });
  const micro = [textBatches(model.tokenizer, text, { rows: 2, length: 24 }).next().value];
  const { gradients } = await trainer.gradients(micro);
  deepEqual([...gradients.keys()].slice(0, 2), ['blocks.0.wq_QD.lora_A', 'blocks.0.wq_QD.lora_B']);
  const losses: number[] = [];
  for (let step = 0; step < 8; step++) losses.push((await trainer.step(micro)).loss);
  ok(losses.at(-1)! < losses[0]!, losses.join(' '));
  const trained = await model.parameterRows('blocks.0.wq_QD', 0, 2);
  ok(trained.some((w, i) => Math.abs(w - rows[i]!) > 1e-3));
  deepEqual(await model.parameterRows('norm_D', 0, 1), norms);
});

const byteTokenizer = createTokenizer(byteVocabulary(260));

test('what does not go together, and what is no shape, is said', async () => {
  await using model = await Llama.load(goldenPath(`${folder}/init`), { threads: 1 });
  const options = { schedule: () => 1, adapter: { rank: 0, kind: 'none' }, ema: 0.9, device: 'wasm' } as const;
  const words =
    /device is not an option; adapter.kind is none.*adapter.rank must be .* 1.*; ema is an average of all weights.*The options are .*adapter, blas/;
  await rejects(Trainer.create(model, options as unknown as typeof recipe), words);
  await rejects(
    Trainer.create(model, { schedule: () => 1, adapter: { rank: 4096 } }),
    /rank 4096 for .*, expected at most/,
  );
  await rejects(initialModel({ width: 30, heads: 4, depth: 1 }), /initialModel: .*headSize is 7\.5/s);
  await rejects(initialModel({ layers: 2 } as object), /initialModel: .*layers/s);
  await rejects(initialModel({}, { vocabularyOf: model }), /expected a tokenizer in the files/);
  throws(() => textBatches(byteTokenizer, ' \n', {}).next(), /the text is empty/);
  throws(() => textBatches(byteTokenizer, 'a', { rows: 0 }).next(), /rows 0/);
});
