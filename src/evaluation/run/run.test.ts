import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { test } from 'node:test';
import { parseTask } from '../task/spec.ts';
import { compareSamples } from './compare.ts';
import { evaluateTask } from './evaluate.ts';
import { differences, showItem } from './explain.ts';
import type { EvaluatedModel, Sampling } from './model.ts';
import { published } from './published.ts';
import { samplesOf, summaryOf } from './samples.ts';
import { remarksOf, scoreTables } from './tables.ts';

/** One id per character, 1 in front. log p of a character is −(its code mod 7) − 1. Generation: what `says` gives for the context. */
function letters(says: (context: string, sampling: Sampling) => string = () => '', contextLength = 200) {
  const scored: string[] = [];
  const generated: Sampling[] = [];
  const encode = (text: string) => Uint32Array.of(1, ...[...text].map((mark) => mark.codePointAt(0)!));
  const decode = (ids: Uint32Array) => String.fromCodePoint(...ids);
  const model: EvaluatedModel = {
    contextLength,
    prefixId: 1,
    encode,
    encodeContext: encode,
    async score(context, continuations) {
      scored.push(...continuations.map((ids) => decode(context) + decode(ids)));
      return continuations.map((ids) => ({
        logLikelihood: -ids.reduce((sum, id) => sum + (id % 7) + 1, 0),
        isGreedy: false,
        tokens: ids.length,
      }));
    },
    async generate(ids, sampling) {
      generated.push(sampling);
      return says(decode(ids.subarray(1)), sampling);
    },
  };
  return { model, scored, generated };
}

const choice = parseTask('choice.yaml', {
  task: 'choice',
  output_type: 'multiple_choice',
  doc_to_text: 'Q: {{q}}',
  doc_to_choice: '{{choices}}',
  doc_to_target: 'gold',
  metric_list: [{ metric: 'acc' }],
  by: 'kind',
  paper: { source: 'here', metric_list: [{ metric: 'acc_characters' }, { metric: 'acc_unconditional' }] },
});
const docs = [
  { q: 'one', choices: ['aaaa', 'zz'], gold: 0, kind: 'x' },
  { q: 'two', choices: ['b', 'ccc'], gold: 1, kind: 'y' },
  { q: 'three', choices: ['b', 'ccc'], gold: 'neither', kind: 'y' },
];
const hash = (text: string) => createHash('sha256').update(text).digest('hex');
const both = ['harness', 'paper'] as const;

test('two rule sets ask the same things once, and judge them each by its own rule', async () => {
  const { model, scored } = letters();
  const [harness, paper] = await evaluateTask(model, { spec: choice, docs, pool: [] }, { rules: both });
  // Six choices, and four different ones after the neutral text.
  strictEqual(scored.length, 10, scored.join('|'));
  strictEqual(new Set(scored).size, 10);
  deepStrictEqual(
    [harness!.rules, harness!.scores[0]!.metric, paper!.scores[0]!.metric],
    ['harness', 'acc', 'acc_characters'],
  );
  strictEqual(harness!.counts.withoutAnswer, 1);
  deepStrictEqual(Object.keys(harness!.parts), ['x', 'y']);
  deepStrictEqual(
    harness!.parts.y!.map(({ items }) => items),
    [2],
  );
  const [row] = scoreTables([harness!, paper!], [], 1000)[0]!.rows;
  deepStrictEqual(row!.slice(0, 4), ['choice', '0', '3', 'acc']);
  ok(remarksOf([harness!])[0]!.includes('1 of 3 items have a right answer that is none of the choices'));
  // a = −7 a letter, four of them and the space: −33; z = −4 each. By characters a loses too, unless by what comes after "Answer:".
  const lines = differences(harness!, paper!).join('\n');
  ok(lines === '' || /went by {2}harness: acc/.test(lines), lines);
  ok(showItem(paper!, paper!.items[0]!).includes('rules of the paper'));
});

test('no score depends on how many items are asked at a time', async () => {
  const run = async (lanes: number) => {
    const { model } = letters((context) => context.slice(-3));
    const results = await evaluateTask(model, { spec: choice, docs, pool: [] }, { rules: both, lanes });
    return JSON.stringify(results.flatMap((result) => samplesOf(result, hash)));
  };
  strictEqual(await run(1), await run(3));
});

const sums = parseTask('sums.json', {
  task: 'sums',
  output_type: 'generate_until',
  doc_to_text: '{{q}}=',
  doc_to_target: '{{a}}',
  num_fewshot: 1,
  fewshot_config: { sampler: 'first_n', samples: [{ q: '1+1', a: 'it is 2' }] },
  generation_kwargs: { until: ['\n'], max_gen_toks: 20 },
  filter_list: [
    { name: 'strict', filter: [{ function: 'regex', regex_pattern: 'it is (\\d+)' }, { function: 'take_first' }] },
  ],
  metric_list: [{ metric: 'exact_match' }],
});

test('where all questions follow the same examples, the first is answered before others are asked', async () => {
  const begun: string[] = [];
  const { model } = letters();
  const slow: EvaluatedModel = {
    ...model,
    async generate(ids, sampling) {
      begun.push(String.fromCodePoint(...ids.subarray(-4)));
      const before = begun.length;
      await new Promise((resolve) => setImmediate(resolve));
      if (before === 1) strictEqual(begun.length, 1, 'nobody else began meanwhile');
      return model.generate(ids, sampling);
    },
  };
  const asked = ['2+2', '3+3', '4+4'].map((q) => ({ q, a: '1' }));
  await evaluateTask(slow, { spec: sums, docs: asked, pool: [] }, { rules: ['harness'] });
  deepStrictEqual(begun, ['2+2=', '3+3=', '4+4=']);
});

test('answers that the extractor missed, and contexts that were cut, are counted', async () => {
  const says = (context: string) => (context.endsWith('2+2=') ? 'it is 4\nand so on' : 'perhaps 6 or so');
  const { model, generated } = letters(says, 60);
  const [result] = await evaluateTask(
    model,
    {
      spec: sums,
      docs: [
        { q: '2+2', a: '4' },
        { q: `${'0+'.repeat(30)}3+3`, a: '6' },
      ],
      pool: [],
    },
    { rules: ['harness'] },
  );
  deepStrictEqual(
    result!.items.map(({ verdicts }) => verdicts[0]!.answers),
    ['4', '[invalid]'],
  );
  deepStrictEqual(
    result!.items.map(({ answered }) => answered.responses),
    [['it is 4'], ['perhaps 6 or so']],
  );
  const rest = { shortened: 0, fewerExamples: 0, shownThemselves: 0, withoutAnswer: 0 };
  deepStrictEqual(result!.counts, { ...rest, cut: 1, missed: 1 });
  deepStrictEqual(generated[0]!.stop, ['\n']);
  strictEqual(generated[0]!.temperature, 0);
  const [sample] = samplesOf(result!, hash);
  strictEqual(sample!.exact_match, 1);
  deepStrictEqual(
    (sample!.arguments as Record<string, Record<string, unknown>>).gen_args_0!.arg_0,
    '1+1= it is 2\n\n2+2=',
  );
  strictEqual(sample!.prompt_hash, hash('1+1= it is 2\n\n2+2='));
  const summary = summaryOf([result!], [], {}) as { results: Record<string, Record<string, unknown>> };
  strictEqual(summary.results.sums!['exact_match,strict'], 0.5);
});

test('an answer that has less room than the task allows is counted', async () => {
  const { model, generated } = letters(() => '4', 30);
  const [result] = await evaluateTask(
    model,
    { spec: sums, docs: [{ q: '2+2', a: '4' }], pool: [] },
    { rules: ['harness'] },
  );
  strictEqual(generated[0]!.maxTokens, 15);
  strictEqual(result!.counts.shortened, 1);
  ok(remarksOf([result!]).some((line) => line.includes('less room for an answer')));
});

test('drawn answers have a seed for each item and draw, whatever else is asked', async () => {
  const spec = {
    ...sums,
    repeats: 3,
    generation_kwargs: { until: [], do_sample: true, temperature: 0.6, top_p: 0.95 },
  };
  const seeds = async (count: number) => {
    const { model, generated } = letters(() => 'x');
    await evaluateTask(
      model,
      {
        spec,
        docs: [
          { q: 'a', a: '1' },
          { q: 'b', a: '2' },
        ].slice(0, count),
        pool: [],
      },
      { rules: ['harness'] },
    );
    ok(generated.every(({ temperature, topP }) => temperature === 0.6 && topP === 0.95));
    return generated.map(({ seed }) => seed);
  };
  const all = await seeds(2);
  strictEqual(new Set(all).size, 6);
  deepStrictEqual(await seeds(1), all.slice(0, 3));
});

test('examples are dropped until the prompt fits, where the rules say so', async () => {
  const spec = parseTask('m', {
    ...JSON.parse(JSON.stringify(choice)),
    drop_examples: true,
    num_fewshot: 2,
    fewshot_config: { sampler: 'first_n', samples: docs.slice(0, 2) },
  });
  const { model } = letters(undefined, 30);
  const [result] = await evaluateTask(model, { spec, docs: docs.slice(0, 1), pool: [] }, { rules: ['harness'] });
  deepStrictEqual([result!.counts.fewerExamples, result!.counts.cut, result!.items[0]!.examples], [1, 0, 1]);
  strictEqual(result!.counts.shownThemselves, 1, 'the question is its own first example');
});

test('an empty split, and a document that does not fit the task, are said with task and item', async () => {
  const { model } = letters();
  await rejects(evaluateTask(model, { spec: choice, docs: [], pool: [] }, { rules: both }), {
    code: 'eval.empty',
    message: /choice: expected items, found none/,
  });
  await rejects(evaluateTask(model, { spec: choice, docs: [docs[0]!, { nope: 1 }], pool: [] }, { rules: both }), {
    code: 'eval.template',
    message: /choice, item 1: .*doc_to_choice|choice, item 1: /,
  });
});

test('two runs: paired differences by hand', () => {
  const sample = (doc: string, acc: number) => ({
    doc_id: 0,
    doc_hash: doc,
    target_hash: 't',
    filter: 'none',
    metrics: ['acc'],
    acc,
  });
  const before = [sample('a', 0), sample('b', 1), sample('c', 0), sample('d', 1)];
  const now = [sample('a', 1), sample('b', 1), sample('c', 1), sample('d', 0), sample('e', 1)];
  const [difference] = compareSamples('t', 'harness', before, now);
  const { items, others, better, worse } = difference!;
  deepStrictEqual({ items, others, better, worse }, { items: 4, others: 1, better: 2, worse: 1 });
  strictEqual(difference!.difference, 0.25);
  // Differences 1, 0, 1, −1: sd √(2.75/3), error half of that.
  const half = 1.959963984540054 * (Math.sqrt(2.75 / 3) / 2);
  ok(Math.abs(difference!.high - (0.25 + half)) < 1e-12);
  deepStrictEqual(compareSamples('t', 'harness', [], now), []);
});

test('the published scores of single tasks have the means that Llama 2 prints in its Table 3', () => {
  const commonsense = [
    'piqa',
    'social_iqa',
    'hellaswag',
    'winogrande',
    'arc_easy',
    'arc_challenge',
    'openbookqa',
    'commonsense_qa',
  ];
  const means = {
    LLaMA: { commonsense: [60.8, 66.1, 70.0, 70.7], code: [14.1, 18.9, 26.0, 30.7] },
    'Llama 2': { commonsense: [63.9, 66.9, 69.9, 71.9], code: [16.8, 24.5, 27.8, 37.5] },
  };
  for (const [model, of] of Object.entries(means)) {
    const scores = Object.assign(
      {},
      ...published.filter((table) => table.model === model).map((table) => table.scores),
    );
    const mean = (tasks: readonly string[], size: number) =>
      tasks.reduce((sum, task) => sum + scores[task]![size]!, 0) / tasks.length;
    for (let size = 0; size < 4; size++) {
      for (const [found, printed] of [
        [mean(commonsense, size), of.commonsense[size]!],
        [mean(['humaneval', 'mbpp'], size), of.code[size]!],
      ] as const) {
        ok(Math.abs(found - printed) <= 0.0501, `${model} ${size}: ${found}, printed ${printed}`);
      }
    }
  }
});
