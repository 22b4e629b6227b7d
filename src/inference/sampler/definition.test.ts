/**
 * The truncating samplers at their edges and in any combination, against transformers' processors written down again from their
 * text: whole sorted rows, no shortcuts. test/golden holds some such rows; this is all that lies between them.
 */
import { deepStrictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertClose } from '../../../test/support/close.ts';
import { keptIds, probabilitiesById, samplerOf } from './testing/samplers.ts';

const softmax = (scores: readonly number[]) => {
  const max = Math.max(...scores);
  const weights = scores.map((score) => Math.exp(score - max));
  const sum = weights.reduce((a, b) => a + b);
  return weights.map((weight) => weight / sum);
};
const forbid = (scores: readonly number[], where: (id: number) => boolean) =>
  scores.map((score, id) => (where(id) ? Number.NEGATIVE_INFINITY : score));
const best = (keys: readonly number[]) => [...keys.keys()].sort((a, b) => keys[b]! - keys[a]! || a - b);

interface Settings {
  readonly repeatPenalty: number;
  readonly noRepeatNgram: number;
  readonly temperature: number;
  readonly topK: number;
  readonly topP: number;
  readonly minP: number;
  readonly typicalP: number;
}

/** RepetitionPenalty → NoRepeatNGram → Temperature → TopK → TopP → MinP → Typical, in transformers' order. */
function processors(logits: readonly number[], history: readonly number[], s: Settings): number[] {
  const seen = new Set(history);
  let scores = logits.map((x, id) => (!seen.has(id) ? x : x < 0 ? x * s.repeatPenalty : x / s.repeatPenalty));
  const n = s.noRepeatNgram;
  if (n > 0 && history.length + 1 >= n) {
    const prefix = history.slice(history.length - (n - 1)).join();
    const banned = new Set<number>();
    for (let i = 0; i + n <= history.length; i++)
      if (n === 1 || history.slice(i, i + n - 1).join() === prefix) banned.add(history[i + n - 1]!);
    scores = forbid(scores, (id) => banned.has(id));
  }
  scores = scores.map((x) => x / s.temperature);
  if (s.topK > 0) {
    const kept = new Set(best(scores).slice(0, s.topK));
    scores = forbid(scores, (id) => !kept.has(id));
  }
  if (s.topP < 1) {
    const p = softmax(scores);
    let sum = 0;
    const kept = new Set<number>();
    for (const id of best(scores)) {
      kept.add(id);
      if ((sum += p[id]!) >= s.topP) break;
    }
    scores = forbid(scores, (id) => !kept.has(id));
  }
  if (s.minP > 0) {
    const p = softmax(scores);
    const limit = s.minP * Math.max(...p);
    const top = best(scores)[0];
    scores = forbid(scores, (id) => p[id]! < limit && id !== top);
  }
  if (s.typicalP < 1) {
    const p = softmax(scores);
    const entropy = -p.reduce((sum, x) => sum + (x > 0 ? x * Math.log(x) : 0), 0);
    const distance = p.map((x) => -Math.abs(-Math.log(x) - entropy));
    let sum = 0;
    const kept = new Set<number>();
    for (const id of best(distance)) {
      kept.add(id);
      if ((sum += p[id]!) > s.typicalP) break;
    }
    scores = forbid(scores, (id) => !kept.has(id));
  }
  return scores;
}

const V = 24;
const edgy = fc.record({
  repeatPenalty: fc.constantFrom(1, 1.3, 0.7, 5),
  noRepeatNgram: fc.constantFrom(0, 0, 1, 2, 3, 7, 50),
  temperature: fc.constantFrom(1, 0.5, 1e-3, 3, 100),
  topK: fc.constantFrom(0, -1, 1, 2, 5, V - 1, V, V + 1, 10_000),
  topP: fc.constantFrom(0, 1e-9, 0.3, 0.9, 0.999999, 1),
  minP: fc.constantFrom(0, 1e-12, 0.05, 0.5, 1),
  typicalP: fc.constantFrom(1, 0.99, 0.5, 0.1, 0),
});

test('any combination of settings keeps the tokens of the definition, with its probabilities', () => {
  const logits = fc.uniqueArray(fc.integer({ min: -400, max: 400 }), { minLength: V, maxLength: V });
  const history = fc.array(fc.integer({ min: 0, max: V / 4 }), { maxLength: 14 });
  fc.assert(
    fc.property(logits, history, edgy, (values, tokens, settings) => {
      // unequal logits that stay unequal under the penalties, so that no rule is decided by rounding
      const row = Float64Array.from(values, (value, id) => value / 57 + id * 1e-4);
      const scores = processors([...row], tokens, settings);
      const want = softmax(scores);
      const [sampler, candidates] = samplerOf(V, {
        ...settings,
        seed: 1,
        repeatLastN: -1,
        samplers: ['penalties', 'temperature', 'top_k', 'top_p', 'min_p', 'typ_p'],
      });
      sampler.sample(row, 0, Uint32Array.from(tokens), tokens.length);
      const p = probabilitiesById(candidates);
      const possible = (ids: readonly number[]) => ids.filter((id) => want[id]! > 1e-300);
      deepStrictEqual(
        possible(keptIds(candidates)),
        possible([...scores.keys()].filter((id) => scores[id]! > -Infinity)),
      );
      assertClose('probabilities', p, want, { atol: 1e-12 });
    }),
    { numRuns: 2000 },
  );
});
