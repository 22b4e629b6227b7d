import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { applyFilters } from '../filters/apply.ts';
import { groupError, groupMean, standardError } from './aggregate.ts';
import { indexOfLargest, pick } from './choice.ts';
import type { ChoiceEvidence, TextEvidence } from './metric.ts';
import { passAtK } from './pass-at-k.ts';
import { em, f1, quacF1, squadText } from './squad.ts';

const choice = (more: Partial<ChoiceEvidence>): ChoiceEvidence => ({
  doc: {},
  choices: ['no', 'perhaps', '서울특별시청', 'undecided'],
  continuations: ['no', 'perhaps', '서울특별시청', 'undecided'],
  gold: 0,
  logLikelihoods: [-4, -8, -9, -9],
  isGreedy: [false, false, false, false],
  tokens: [2, 2, 4, 9],
  afterNothing: [-4, -8, -11, -9],
  afterNeutral: [-4.5, -9.5, -9, -9],
  ...more,
});

test('every rule by hand: one item, other picks', () => {
  const evidence = choice({});
  deepStrictEqual(
    (['acc', 'acc_norm', 'acc_bytes', 'acc_tokens', 'acc_unconditional', 'acc_mutual_info'] as const).map((rule) =>
      pick(rule, evidence),
    ),
    [0, 3, 2, 3, 1, 2],
  );
  strictEqual(indexOfLargest([1, 1]), 0, 'the first among equals');
  strictEqual(indexOfLargest([1, Number.NaN, 2]), 1, 'as NumPy');
});

const text = (answers: string, target: string | readonly string[]): TextEvidence => ({ doc: {}, answers, target });

test('SQuAD’s and QuAC’s words', () => {
  strictEqual(squadText('The  Beatles, an A-list!'), 'beatles alist');
  strictEqual(em.score(text('the Cat.', ['dog', 'cat']), { metric: 'em' }), 1);
  strictEqual(f1.score(text('big cat', 'black cat'), { metric: 'f1' }), 0.5);
  strictEqual(f1.score(text('', ''), { metric: 'f1' }), 1, 'no answer where there is none');
  strictEqual(f1.score(text('x', ''), { metric: 'f1' }), 0);
  // Left out one by one: best of {b, c}, {a, c}, {a, b} = 0, 1, 1.
  strictEqual(quacF1.score(text('a1', ['a1', 'b1', 'c1']), { metric: 'quac_f1' }), 2 / 3);
  strictEqual(quacF1.score(text('CANNOTANSWER', ['CANNOTANSWER', 'CANNOTANSWER', 'x']), { metric: 'quac_f1' }), 1);
});

test('aggregates: errors of few items, and groups where every item counts alike', () => {
  strictEqual(standardError('mean', [1]), null);
  strictEqual(
    standardError('weighted_perplexity', [
      [-1, 2],
      [-1, 2],
    ]),
    null,
  );
  strictEqual(
    groupMean([
      { items: 1, value: 1, error: null },
      { items: 3, value: 0, error: 0.1 },
    ]),
    0.25,
  );
  strictEqual(groupError([{ items: 1, value: 1, error: null }]), null);
});

test('pass@k of the paper', () => {
  strictEqual(passAtK(5, 2, 5), 1);
  ok(Math.abs(passAtK(5, 2, 2) - 0.7) < 1e-12);
});

test('filters: the papers’ cuts and votes', () => {
  const apply = (name: 'closed_book' | 'majority_of_valid', ...answers: string[]) =>
    applyFilters([{ function: name }], answers, {});
  deepStrictEqual(apply('closed_book', ' Paris.\nQ:', 'St. Louis, MO', '\nlate'), ['Paris', 'St. Louis', '']);
  deepStrictEqual(apply('majority_of_valid', '[invalid]', '[invalid]', '3'), ['3']);
  deepStrictEqual(apply('majority_of_valid', '[invalid]'), ['[invalid]']);
  deepStrictEqual(applyFilters([{ function: 'map', mapping_dict: { a: 'b' }, default_value: 'z' }], ['a', 'q'], {}), [
    'b',
    'z',
  ]);
});
