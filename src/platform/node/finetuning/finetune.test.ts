/** Whole runs of `cria finetune` on toy tasks: each method shows its effect; resumed runs go on to the same bits; bad input in words. */
import { deepEqual, equal, match, ok } from 'node:assert/strict';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Ran, tune, tuningPlace, writeBase } from '../../../../test/support/tuning.ts';
import { openCheckpointAt } from '../files.ts';
import { Llama } from '../index.ts';
import { digestOf } from '../training/whole-folder.ts';
import { finetune } from './index.ts';
import { openTunable } from './models.ts';

const { at, remove } = tuningPlace();
after(remove);

writeBase(at('base'));
const animals = ['fox', 'hen', 'cat', 'dog'];
const lines = (rows: readonly unknown[]) => rows.map((row) => JSON.stringify(row)).join('\n');
writeFileSync(
  at('sft.jsonl'),
  lines([
    ...animals.flatMap((animal, i) => [
      { instruction: `Where is the ${animal}?`, input: '', output: `It is on hill ${i}.` },
      { instruction: `Who is the ${animal}?`, output: `A good ${animal}.` },
    ]),
    { instruction: 'x', output: '' },
  ]),
);

const step = (out: string, number: number, file: string) =>
  join(at(out), 'checkpoints', `step-${String(number).padStart(8, '0')}`, file);

const sft = {
  name: 'toy',
  model: { from: at('base'), template: 'llama2' },
  data: { train: [{ path: at('sft.jsonl') }] },
  training: { steps: 40, batch: 8, learningRate: 0.01, warmup: 0.1 },
  output: {
    samplePrompt: 'Where is the fox?',
    sampleTokens: 12,
    checkpointEvery: 10,
    validateEvery: 10,
    sampleEvery: 10,
  },
};

test('sft: the loss on the answers falls; the checkpoint is a model with its template, the report shows the marks', async () => {
  const { status, metrics, stdout, stderr } = await tune(at, sft, { out: 'sft' });
  equal(status, 0, stderr);
  equal(metrics.length, 40);
  ok(metrics[0]!.loss > 5 && metrics.at(-1)!.loss < 0.8, `${metrics[0]!.loss} → ${metrics.at(-1)!.loss}`);
  match(stderr, /9 rows, 8 used, 1 refused\n {2}1 refused: output is empty \(sft.jsonl line 9\)/);
  match(stderr, /end: 8 of 8 trained turns end with an end token that carries loss/);
  match(stdout, /"checkpoint":".*step-00000040"/);
  const checkpoint = openCheckpointAt(join(at('sft'), 'checkpoints', 'step-00000040'));
  match(checkpoint.chatTemplate!, /\[INST\]/);
  checkpoint.close();
  const report = readFileSync(join(at('sft'), 'report.html'), 'utf8');
  match(report, /<span class="loss"> ?It is on hill 0\. &#60;\/s&#62;<\/span>/);
  deepEqual(JSON.parse(readFileSync(join(at('sft'), 'refused.jsonl'), 'utf8')), {
    source: `train ${at('sft.jsonl')}`,
    where: 'sft.jsonl line 9',
    reason: 'output is empty',
  });
});

for (const [name, more] of [
  [
    'whole, packed, with noise',
    {
      data: { ...sft.data, packing: 'best-fit' },
      training: { ...sft.training, neftuneAlpha: 5, microBatchTokens: 64 },
    },
  ],
  ['an adapter', { adapter: { kind: 'lora', rank: 4, ranks: { q_proj: 2 } } }],
  [
    'an adapter with dropout',
    { adapter: { kind: 'lora', rank: 4, dropout: 0.5 }, training: { ...sft.training, microBatchTokens: 64 } },
  ],
  ['a DoRA', { adapter: { kind: 'dora', rank: 2, rsLora: true } }],
] as const) {
  test(`stopped by Ctrl-C and resumed, a run goes on to the same bits: ${name}`, async () => {
    const recipe = {
      ...sft,
      ...more,
      training: { ...sft.training, ...('training' in more && more.training), steps: 12 },
    };
    const out = name.replaceAll(/\W/g, '');
    const whole = await tune(at, recipe, { out: `${out}-whole` });
    equal(whole.status, 0, whole.stderr);
    await tune(at, recipe, { out: `${out}-cut`, stopAfter: 5 });
    ok(existsSync(step(`${out}-cut`, 5, 'state.json')));
    const refused = await tune(at, recipe, { out: `${out}-cut` });
    equal(refused.status, 1);
    match(refused.stderr, /already holds a run\. Go on with it with --resume/);
    const resumed = await tune(at, recipe, { out: `${out}-cut`, words: ['--resume'] });
    equal(resumed.status, 0, resumed.stderr);
    deepEqual(
      resumed.metrics.map(({ loss }) => loss),
      whole.metrics.slice(5).map(({ loss }) => loss),
    );
    if ('adapter' in more) {
      const config = JSON.parse(readFileSync(step(`${out}-cut`, 12, 'adapter_config.json'), 'utf8')) as Record<
        string,
        unknown
      >;
      equal(config.lora_dropout, 'dropout' in more.adapter ? more.adapter.dropout : 0);
    }
    const file = 'adapter' in more ? 'adapter_model.safetensors' : 'model.safetensors';
    equal(digestOf(step(`${out}-cut`, 12, file)), digestOf(step(`${out}-whole`, 12, file)));
  });
}

test('an adapter learns too, in PEFT’s files, and the next stage begins with it merged', async () => {
  const adapter = { kind: 'lora', rank: 8, alpha: 16 };
  writeFileSync(
    at('moved.jsonl'),
    lines(animals.map((animal, i) => ({ instruction: `Where is the ${animal}?`, output: `Now on hill ${9 - i}.` }))),
  );
  const { metrics, stderr, status } = await tune(
    at,
    {
      ...sft,
      model: { from: at('sft') },
      data: { train: [{ path: at('moved.jsonl') }] },
      adapter,
      training: { ...sft.training, learningRate: 0.02 },
    },
    { out: 'lora' },
  );
  equal(status, 0, stderr);
  match(stderr, /trained: LoRA of 14 matrices/);
  ok(metrics.at(-1)!.loss < metrics[0]!.loss - 1.5, `${metrics[0]!.loss} → ${metrics.at(-1)!.loss}`);
  const config = JSON.parse(readFileSync(step('lora', 40, 'adapter_config.json'), 'utf8')) as Record<string, unknown>;
  deepEqual([config.r, config.lora_alpha, config.use_rslora], [8, 16, false]);
  const next = await tune(
    at,
    {
      ...sft,
      model: { from: at('lora') },
      data: { train: [{ path: at('moved.jsonl') }] },
      training: { ...sft.training, steps: 1 },
    },
    { out: 'after-lora' },
  );
  equal(next.status, 0, next.stderr);
  ok(Math.abs(next.metrics[0]!.loss - metrics.at(-1)!.loss) < 0.5);
});

test('an adapter over a base in fewer bits (QLoRA) learns, and says what it is held in', async () => {
  const run = await tune(
    at,
    {
      ...sft,
      model: { from: at('sft') },
      data: { train: [{ path: at('moved.jsonl') }] },
      adapter: { kind: 'lora', rank: 8, alpha: 16, base: 'q4_k' },
      training: { ...sft.training, learningRate: 0.02 },
    },
    { out: 'qlora' },
  );
  equal(run.status, 0, run.stderr);
  // Rows of 48 are whole blocks of neither type, rows of 96 of Q8_0.
  match(run.stderr, /over a frozen base of 12 matrices as f32 and 2 matrices as Q8_0/);
  ok(run.metrics.at(-1)!.loss < run.metrics[0]!.loss - 1);
});

for (const kind of ['lora', 'dora'])
  test(`QLoRA as its paper has it: a ${kind} over NF4 with double quantization learns`, async () => {
    const run = await tune(
      at,
      {
        ...sft,
        model: { from: at('sft') },
        data: { train: [{ path: at('moved.jsonl') }] },
        adapter: { kind, rank: 8, alpha: 16, base: 'nf4' },
        training: { ...sft.training, learningRate: 0.02 },
      },
      { out: `nf4-${kind}` },
    );
    equal(run.status, 0, run.stderr);
    match(run.stderr, /over a frozen base of 14 matrices as NF4 with double quantization/);
    ok(run.metrics.at(-1)!.loss < run.metrics[0]!.loss - 1);
  });

test('an adapter of the head and of the table of embeddings: what was trained is what the model computes with it', async () => {
  const adapter = { kind: 'lora', rank: 4, alpha: 8, targets: ['lm_head', 'embed_tokens'] };
  const training = { ...sft.training, steps: 12, learningRate: 0.02 };
  const valid = [{ path: at('sft.jsonl') }];
  const run = await tune(
    at,
    { ...sft, model: { from: at('sft') }, data: { train: [{ path: at('moved.jsonl') }], valid }, adapter, training },
    { out: 'outer' },
  );
  equal(run.status, 0, run.stderr);
  match(run.stderr, /trained: LoRA of 2 matrices/);
  ok(run.metrics.at(-1)!.loss < run.metrics[0]!.loss - 0.5, run.stderr);
  const validated = ({ metrics }: Ran) => Math.min(...metrics.flatMap(({ validation }) => validation?.loss ?? []));
  const merged = await tune(
    at,
    {
      ...sft,
      model: { from: at('outer') },
      data: { train: [{ path: at('moved.jsonl') }], valid },
      training: { ...training, steps: 1, learningRate: 1e-30 },
    },
    { out: 'outer-merged' },
  );
  equal(merged.status, 0, merged.stderr);
  const [best, again] = [validated(run), validated(merged)]; // the next stage begins with the best
  ok(Math.abs(best - again) < 1e-4, `${best}, merged ${again}`);
  const dora = await tune(at, { ...sft, adapter: { ...adapter, kind: 'dora' } }, { out: 'outer-dora' });
  match(dora.stderr, /embed_tokens has no form in a DoRA/);
});

test('an adapter says over which weights it was trained, and who uses it over others is told', async () => {
  const nf4 = join(at('nf4-lora'), 'checkpoints', 'step-00000040');
  const base = step('sft', 40, '');
  await using model = await Llama.load(base, { threads: 1, adapters: [{ source: nf4 }] });
  match(
    model.facts.remarks.join(),
    /trained over weights held as NF4 with double quantization, and corrects weights stored as f32/,
  );
  await using own = await Llama.load(base, { threads: 1, adapters: [{ source: step('lora', 40, '') }] });
  deepEqual(own.facts.remarks, []);
});

test('--show prints samples with their marks and what is proved, and trains nothing', async () => {
  const shown = await tune(at, sft, { out: 'show', words: ['--show', '2'] });
  equal(shown.status, 0, shown.stderr);
  const { samples, facts } = JSON.parse(shown.stdout) as {
    samples: { runs: { text: string; carries: boolean }[] }[];
    facts: Record<string, string>;
  };
  deepEqual(
    samples.map(({ runs }) => runs.filter(({ carries }) => carries).map(({ text }) => text.trim())),
    [['It is on hill 0. </s>'], ['A good fox. </s>']],
  );
  match(facts.samples!, /^8, \d+ tokens, \d+ of them carry loss/);
  ok(!existsSync(at('show')));
});

test('bad input: no loss anywhere, a rank that does not fit, a template that cannot express the roles', async () => {
  writeFileSync(
    at('none.jsonl'),
    lines([
      {
        messages: [
          { role: 'user', content: 'a' },
          { role: 'assistant', content: 'b', train: false },
        ],
      },
    ]),
  );
  const none = await tune(at, { ...sft, data: { train: [{ path: at('none.jsonl') }] } }, { out: 'none' });
  equal(none.status, 1);
  match(none.stderr, /none of its 1 rows can be used.*no turn carries loss/s);
  const rank = await tune(at, { ...sft, adapter: { kind: 'lora', rank: 100 } }, { out: 'rank' });
  match(rank.stderr, /adapter: rank 100 for q_proj of 48 × 48, expected at most 48/);
  const roles = at('roles.jsonl');
  writeFileSync(
    roles,
    lines([
      {
        messages: [
          { role: 'user', content: 'a' },
          { role: 'tool', content: 'r' },
          { role: 'assistant', content: 'b' },
        ],
      },
    ]),
  );
  const tool = await tune(at, { ...sft, data: { train: [{ path: roles }] } }, { out: 'roles' });
  match(tool.stderr, /the template refuses: .*Conversation roles must alternate/);
  // The reasons are said once, the setting is named, and what never began leaves no folder.
  equal(none.stderr.split('no turn carries loss').length, 2, none.stderr);
  match(none.stderr, /data\.train\.0 /);
  const missing = await tune(at, { ...sft, data: { train: [{ path: at('nowhere.jsonl') }] } }, { out: 'missing' });
  match(missing.stderr, /data\.train\.0\.path .*nowhere\.jsonl: expected a file .*--set data\.train\.0\.path=PATH/);
  writeFileSync(at('empty.parquet'), '');
  const empty = await tune(at, { ...sft, data: { train: [{ path: at('empty.parquet') }] } }, { out: 'empty' });
  match(empty.stderr, /expected a Parquet file, which begins and ends with PAR1, found nothing/);
  for (const out of ['none', 'roles', 'missing', 'empty']) ok(!existsSync(at(out)), out);
});

test('an adapter brings its template along: to chat with it, and into a merged model', async () => {
  const folder = join(at('lora'), 'checkpoints', 'step-00000040');
  await using model = await Llama.load(at('base'), { threads: 1, adapters: [{ source: folder }] });
  match(model.facts.chatTemplate!, /\[INST\]/);
  const merged = openTunable(folder);
  match(merged.chatTemplate!, /\[INST\]/);
  merged.close();
});

test('the library tunes too: a recipe as an object, its steps as events', async () => {
  const losses: number[] = [];
  const [result] = await finetune(
    { ...sft, name: 'library', training: { ...sft.training, steps: 3 } },
    { out: at('library'), threads: 1, onStep: ({ loss }) => losses.push(loss) },
  );
  deepEqual([losses.length, result!.steps], [3, 3]);
  await using model = await Llama.load(result!.checkpoint!, { threads: 1 });
  ok((await model.logits([1, 2])).length > 0);
});
