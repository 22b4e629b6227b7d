import { deepStrictEqual, ok, rejects, strictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { missing, shared } from '../../test/support/shared.ts';
import { parseItems } from './items.ts';
import { accuracies, type ChoiceScore, choose, ruleNames, scoreItem } from './multiple-choice.ts';
import { encodePair, rollingMetrics, rollingWindows, type Scorer, scoreRequests } from './requests.ts';

/** One id per character, 1 in front; log p of a token is −its place in the text. */
const characters: Scorer & { readonly calls: [string, string[]][] } = {
  calls: [],
  encode: (text) => Uint32Array.of(1, ...[...text].map((character) => character.codePointAt(0)!)),
  prefixId: 1,
  contextLength: 40,
  async score(context, continuations) {
    const text = (ids: Uint32Array) => String.fromCodePoint(...ids);
    this.calls.push([text(context), continuations.map(text)]);
    return continuations.map((ids) => ({
      logLikelihood: -ids.reduce((sum, _, i) => sum + context.length + i, 0),
      isGreedy: false,
      tokens: ids.length,
    }));
  },
};
const pair = (context: string, continuation: string) => {
  const { context: before, continuation: after } = encodePair(characters, { context, continuation });
  return [String.fromCodePoint(...before), String.fromCodePoint(...after)];
};

test('a pair is cut after the context, whose trailing spaces go to the continuation', () => {
  deepStrictEqual(pair('ab', ' c'), ['\x01ab', ' c']);
  deepStrictEqual(pair('ab \n', ' c'), ['\x01ab', ' \n c']);
  deepStrictEqual(pair('', 'cd'), ['\x01', 'cd']);
  deepStrictEqual(pair('  ', 'cd'), ['\x01', '  cd']);
  throws(() => pair('ab', ''), { code: 'evaluate.pair' });
  const noBos = { encode: (text: string) => characters.encode(text).subarray(1), prefixId: null };
  deepStrictEqual(
    encodePair(noBos, { context: '', continuation: 'cd' }),
    { context: Uint32Array.of(99), continuation: Uint32Array.of(100) },
    'without a beginning token the first token is given, not scored',
  );
});

test('requests of one context are scored in one call; too long ones are refused, or lose their beginning', async () => {
  characters.calls.length = 0;
  const requests = ['x', 'yz'].map((continuation) => ({ context: 'ab', continuation }));
  const scores = await scoreRequests(characters, [...requests, { context: 'cd', continuation: 'x' }]);
  deepStrictEqual(characters.calls, [
    ['\x01ab', ['x', 'yz']],
    ['\x01cd', ['x']],
  ]);
  deepStrictEqual(
    scores.map(({ logLikelihood, tokens, dropped }) => [logLikelihood, tokens, dropped]),
    [
      [-3, 1, 0],
      [-7, 2, 0],
      [-3, 1, 0],
    ],
  );
  const long = [{ context: 'a'.repeat(39), continuation: 'xyz' }];
  await rejects(scoreRequests(characters, long), {
    code: 'evaluate.context',
    message: /"xyz" after "a{39}": 40 tokens and 3, expected at most 41 together/,
  });
  characters.calls.length = 0;
  strictEqual((await scoreRequests(characters, long, 'truncate'))[0]!.dropped, 2);
  deepStrictEqual(characters.calls, [['a'.repeat(38), ['xyz']]]);
  const hopeless = [{ context: 'a', continuation: 'x'.repeat(60) }];
  await rejects(scoreRequests(characters, hopeless, 'truncate'), { code: 'evaluate.context' });
});

const score = (logLikelihood: number, text: string, tokens: number, unconditional?: number): ChoiceScore => ({
  logLikelihood,
  tokens,
  isGreedy: false,
  dropped: 0,
  characters: [...text].length,
  bytes: Buffer.byteLength(text),
  ...(unconditional !== undefined && { unconditional }),
});

test('every rule by hand: the same four answers, five different picks', () => {
  const scores = [
    score(-4, 'no', 2, -4.5), //            −2    per character, −2    per byte, −2    per token, 0.5
    score(-8, 'perhaps', 2, -9.5), //       −1.14               −1.14           −4               1.5
    score(-9, '서울특별시청', 4, -9), //     −1.5                −0.5            −2.25            0
    score(-9, 'undecided', 9, -9), //       −1                  −1              −1               0
  ];
  deepStrictEqual(
    ruleNames.map((rule) => [rule, choose(rule, scores)]),
    [
      ['acc', 0],
      ['acc_norm', 3],
      ['acc_bytes', 2],
      ['acc_per_token', 3],
      ['acc_uncond', 1],
    ],
  );
  strictEqual(choose('acc', [score(-2, 'a', 1), score(-2, 'b', 1)]), 0, 'the first among equals');
  strictEqual(choose('acc_uncond', [score(-2, 'a', 1, 1), score(-2, 'b', 1)]), null);
});

test('accuracy and its standard error; a rule that some item cannot be judged by is left out', () => {
  const right = { gold: 0, scores: [score(-1, 'a', 1, 0), score(-2, 'b', 1, 0)] };
  const wrong = { gold: 1, scores: [score(-1, 'a', 1), score(-2, 'b', 1)] };
  const { acc, acc_uncond } = accuracies([right, wrong, right, right]);
  deepStrictEqual(acc, { accuracy: 0.75, error: 0.25, items: 4 }); // √(0.75 · 0.25 / 3)
  strictEqual(acc_uncond, undefined);
  deepStrictEqual(accuracies([]), {});
});

const lines = (...records: object[]) => records.map((record) => JSON.stringify(record)).join('\n');
const options = { unconditional: 'Answer:' };

test('items of every layout', async () => {
  const [plain] = parseItems('f', lines({ query: 'Q', choices: ['a', 'b'], gold: 1 }), options);
  deepStrictEqual(plain!.choices[1], { context: 'Q', continuation: ' b', text: 'b' });
  deepStrictEqual(plain!.unconditional![0], { context: 'Answer:', continuation: ' a', text: 'a' });
  strictEqual(plain!.gold, 1);
  const piqa = { goal: 'To boil', sol1: 'heat', sol2: 'cool' };
  const [first, second] = parseItems('f', lines(piqa, piqa), { labels: ['1', '0'], unconditional: null });
  deepStrictEqual([first!.gold, second!.gold, first!.unconditional], [1, 0, undefined]);
  strictEqual(first!.choices[0]!.context, 'Question: To boil\nAnswer:');
  const swag = {
    ctx_a: 'A man  sits.',
    ctx_b: 'he Then',
    activity_label: 'Roof',
    endings: ['[header] goes', 'stays [title] here'],
    label: '1',
  };
  const [hella] = parseItems('f', lines(swag), options);
  strictEqual(hella!.choices[0]!.context, 'Roof: A man sits. He then');
  deepStrictEqual(
    hella!.choices.map(({ text }) => text),
    [' goes', 'stays. here'],
  );
  const asked = (doc_id: number, context: string, continuation: string) => ({
    request: { context, continuation },
    doc_id,
    label: 1,
  });
  const olmo = lines(
    asked(0, 'x', ' a'),
    asked(0, 'x', ' b'),
    asked(1_000_000, 'Answer:', ' a'),
    asked(1_000_000, 'Answer:', ' b'),
    asked(1, 'y', ' a'),
    asked(1, 'z', ' a'),
  );
  const items = parseItems('f', olmo, options);
  deepStrictEqual(
    items.map(({ id, gold, unconditional }) => [id, gold, unconditional?.length]),
    [
      ['0', 1, 2],
      ['1', 1, undefined],
    ],
  );
  const scores = await scoreItem(characters, items[0]!);
  deepStrictEqual([scores[0]!.characters, typeof scores[0]!.unconditional], [1, 'number']);
});

test('a wrong file is said with its line', () => {
  for (const [text, where, problem] of [
    ['', 'line 1', /empty/],
    ['{"query":', 'line 1', /no JSON/],
    ['[1]', 'line 1', /no object/],
    [
      lines({ query: 'Q', choices: ['a', 'b'], gold: 0 }, { prompt: 'x' }),
      'line 2',
      /found the fields prompt; expected/,
    ],
    [lines({ query: 'Q', choices: ['a', 'b'], gold: 2 }), 'line 1', /right answer 2, expected its index, 0 … 1/],
    [lines({ query: 'Q', choices: ['a', 'b'] }), 'line 1', /no right answer/],
    [lines({ query: 'Q', choices: ['a'], gold: 0 }), 'line 1', /expected query and choices/],
    [lines({ request: { context: 'x' }, doc_id: 1 }), 'line 1', /request.continuation/],
    [lines({ request: { context: 'x', continuation: ' y' }, doc_id: 1, label: 4 }), 'line 1', /label is 4/],
  ] as const) {
    throws(() => parseItems('f.jsonl', text, options), { code: 'items.layout', where, message: problem });
  }
});

test('rolling windows score every token once, with as much before it as fits', () => {
  const ids = Uint32Array.from({ length: 11 }, (_, i) => 10 + i);
  deepStrictEqual(
    rollingWindows(ids, 1, 4).map(({ context, continuation }) => [[...context], [...continuation]]),
    [
      [[1], [10, 11, 12, 13]],
      [[13], [14, 15, 16, 17]],
      [
        [16, 17],
        [18, 19, 20],
      ],
    ],
  );
  deepStrictEqual(rollingWindows(new Uint32Array(0), 1, 4), []);
  const metrics = rollingMetrics([{ text: 'two words é', logLikelihood: -6 }]);
  deepStrictEqual(metrics, {
    logLikelihood: -6,
    wordPerplexity: Math.exp(2),
    bytePerplexity: Math.exp(0.5),
    bitsPerByte: 0.5 / Math.LN2,
  });
});

const bench = 'real/bench';
test('the real files are read, and OLMo’s requests are the harness’s prompts', {
  skip: missing(`${bench}/piqa/valid.jsonl`),
}, () => {
  const read = (name: string) => {
    const bytes = readFileSync(shared(`${bench}/${name}`));
    return (name.endsWith('.gz') ? gunzipSync(bytes) : bytes).toString('utf8');
  };
  const labels = read('piqa/valid-labels.lst').trim().split('\n');
  strictEqual(parseItems('piqa', read('piqa/valid.jsonl'), { ...options, labels }).length, 1838);
  strictEqual(parseItems('hellaswag', read('hellaswag_1000.jsonl'), options).length, 1000);
  for (const [name, count, choices] of [
    ['arc_easy.rc_0shot', 570, 4],
    ['boolq.rc_0shot', 3270, 2],
    ['winogrande.rc_0shot', 1267, 2],
    ['hellaswag.rc_5shot', 1000, 4],
  ] as const) {
    const items = parseItems(name, read(`oe_eval/${name}.requests.jsonl.gz`), options);
    strictEqual(items.length, count, name);
    ok(items.every((item) => item.choices.length >= Math.min(3, choices)));
  }
});
