/** The papers' recipes run end to end on a tiny model: the same files, with --set for the model, the data and the sizes. */

import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { cria } from '../../../../test/e2e/cria.ts';
import { tuneFile, tuningConfig, tuningPlace, writeBase } from '../../../../test/support/tuning.ts';
import { keepBlocks, keptBlocks } from '../../../model/keep-blocks.ts';
import { listParameters } from '../../../model/parameters.ts';
import { openCheckpointAt } from '../files.ts';
import { modelOfRun } from '../training/run-checkpoint.ts';

const { at, remove } = tuningPlace();
after(remove);
writeBase(at('base'));
const recipe = (name: string) => fileURLToPath(new URL(`../../../../recipes/${name}`, import.meta.url));
const write = (name: string, rows: readonly unknown[]) => {
  writeFileSync(at(name), rows.map((row) => JSON.stringify(row)).join('\n'));
  return at(name);
};
const sets = (values: Readonly<Record<string, string | number>>) =>
  Object.entries(values).flatMap(([key, value]) => ['--set', `${key}=${value}`]);
const numbers = Array.from({ length: 8 }, (_, i) => i);

test('alpaca.yaml', async () => {
  const data = write(
    'alpaca.jsonl',
    numbers.map((i) => ({ instruction: `Add ${i}`, input: i % 2 ? `${i}` : '', output: `It is ${i}.` })),
  );
  const values = {
    'model.from': at('base'),
    'data.train.0.path': data,
    'training.batch': 4,
    'training.epochs': 1,
  };
  const { status, stderr, metrics } = await tuneFile(recipe('alpaca.yaml'), at('alpaca'), sets(values));
  equal(status, 0, stderr);
  equal(metrics.length, 2);
  const checkpoint = openCheckpointAt(modelOfRun(at('alpaca'))!);
  match(checkpoint.chatTemplate!, /### Response:/);
  checkpoint.close();
  const report = readFileSync(join(at('alpaca'), 'report.html'), 'utf8');
  match(report, /paired with an input that provides further context/);
  match(report, /<div class="curves"><svg [\s\S]*<\/svg>\s*<\/div>/); // scrolled on a phone, where letters keep their size
});

test('vicuna.yaml', async () => {
  const said = (from: string, value: string) => ({ from, value });
  const data = write('sharegpt.json', [
    numbers.map((i) => ({
      conversations: [said('human', `Hi ${i}`), said('gpt', 'Hello.'), said('human', 'Bye'), said('gpt', 'Bye!')],
    })),
  ]);
  const values = { 'model.from': at('base'), 'data.train.0.path': data, 'training.batch': 4, 'training.epochs': 1 };
  const { status, stderr } = await tuneFile(recipe('vicuna.yaml'), at('vicuna'), sets(values));
  equal(status, 0, stderr);
  match(stderr, /end: 16 of 16 trained turns end with an end token/);
  match(stderr, /warning: model.contextLength is 2048, and the model was made for 96/);
});

test('draft.yaml: from samples of the model itself to a draft that guesses for it', async () => {
  writeBase(at('deep'), { ...tuningConfig, blockCount: 5 });
  const samples = at('samples.jsonl.gz');
  const script = fileURLToPath(new URL('../../../../recipes/draft-data.ts', import.meta.url));
  const words = [script, at('deep'), samples, '--texts', '60', '--tokens', '80', '--threads', '1'];
  const { status: sampled, stderr: said } = spawnSync(process.execPath, words, { encoding: 'utf8' });
  equal(sampled, 0, said);
  const [, whole, cut] = /^(\d+) texts in .*; (\d+) did not end/m.exec(said)!.map(Number);
  ok(whole! > 4 && whole! + cut! === 60, said);
  const values = {
    'model.from': at('deep'),
    'model.contextLength': 96,
    'data.train.0.path': samples,
    'training.batch': 4,
    'training.epochs': 1,
  };
  const { status, stderr } = await tuneFile(recipe('draft.yaml'), at('draft'), sets(values));
  equal(status, 0, stderr);
  const checkpoint = openCheckpointAt(modelOfRun(at('draft'))!);
  equal(checkpoint.config.blockCount, 1);
  checkpoint.close();
  const draft = at('draft.gguf');
  equal((await cria(['convert', at('draft'), draft, '--dtype', 'q8_0'])).code, 0);
  const run = ['run', '-m', at('deep'), '-p', 'Once', '-n', '24', '--seed', '1', '-t', '1', '--ignore-eos', '--json'];
  const plain = JSON.parse((await cria(run)).stdout);
  const guessed = JSON.parse((await cria([...run, '--draft', draft])).stdout);
  equal(guessed.text, plain.text);
  ok(guessed.timings.draft_n > 0);
});

test('a shallower model has blocks of the whole depth, with what each of them chooses', async () => {
  deepEqual(
    [
      [8, 0.25],
      [22, 0.25],
      [2, 0.25],
      [4, 1],
    ].map(([count, share]) => keptBlocks(count!, share!)),
    [[0, 7], [0, 4, 8, 13, 17, 21], [0], [0, 1, 2, 3]],
  );
  writeBase(at('mixed'), {
    ...tuningConfig,
    blockCount: 4,
    slidingWindow: 8,
    slidingBlocks: [true, true, true, false],
  });
  const whole = openCheckpointAt(at('mixed'));
  const { config, tensors } = keepBlocks(whole, 0.5);
  deepEqual([config.blockCount, config.slidingBlocks], [2, [true, false]]);
  equal(tensors.get('blocks.1.wq_QD'), whole.tensors.get('blocks.3.wq_QD'));
  deepEqual(
    [...tensors.keys()].sort(),
    listParameters(config)
      .map(({ name }) => name)
      .sort(),
  );
  whole.close();
  const wrong = await tuneFile(recipe('draft.yaml'), at('wrong'), sets({ 'adapter.kind': 'lora' }));
  equal(wrong.status, 1);
  match(wrong.stderr, /model.keepBlocks is given, and not read: only method sft without an adapter/);
});

test('llama2-chat.yaml: five stages, each from the models of those before it', async () => {
  const asked = (i: number) => ({ role: 'user', content: `Say ${i}` });
  const chat = write('chat.jsonl', [
    ...numbers.map((i) => ({ messages: [asked(i), { role: 'assistant', content: `${i}!` }] })),
    {
      instruction: 'Be brief.',
      dialogue: [
        ['Say 1', '1!'],
        ['Say 2', '2!'],
      ],
    },
  ]);
  const pairs = write(
    'pairs.jsonl',
    numbers.map((i) => ({
      chosen: [asked(i), { role: 'assistant', content: `${i}!` }],
      rejected: [asked(i), { role: 'assistant', content: 'no' }],
      rating: i % 2 ? 'better' : 'slightly',
    })),
  );
  const stage = (i: number, more: Readonly<Record<string, string | number>>) =>
    Object.fromEntries(
      Object.entries({ 'training.batch': 4, 'training.epochs': 1, ...more }).map(([key, value]) => [
        `stages.${i}.${key}`,
        value,
      ]),
    );
  const sampling = { 'sampling.maxTokens': 6, 'data.train.0.path': chat };
  const {
    'stages.4.training.epochs': _,
    'stages.4.training.batch': __,
    ...ppo
  } = stage(4, {
    ...sampling,
    'data.valid.0.path': chat,
    'ppo.iterations': 2,
    'ppo.prompts': 4,
    'ppo.minibatch': 2,
  });
  const values = {
    ...stage(0, { 'model.from': at('base'), 'data.train.0.path': chat }),
    ...stage(1, { 'data.train.0.path': pairs }),
    ...stage(2, { 'data.train.0.path': pairs, 'data.train.1.path': pairs }),
    ...stage(3, { ...sampling, 'sampling.answers': 2 }),
    ...ppo,
  };
  const out = at('llama2-chat');
  const { status, stderr } = await tuneFile(recipe('llama2-chat.yaml'), out, sets(values));
  equal(status, 0, stderr);
  for (const name of ['sft', 'helpfulness', 'safety', 'rejection', 'ppo']) {
    ok(existsSync(join(out, name, 'report.html')) && modelOfRun(join(out, name)) !== null, name);
  }
  ok(existsSync(join(out, 'rejection', 'best-answers-2.json')));
});
