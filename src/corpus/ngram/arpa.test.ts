import { ok, strictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { missing, shared } from '../../../test/support/shared.ts';
import { parseArpa } from './arpa.ts';

interface KenlmStep {
  test: string;
  op: 'state' | 'append' | 'peek';
  text?: string;
  word: string;
  ngram_length: number;
  log10_prob: number;
}

const toy = `\\data\\
ngram 1=5
ngram 2=3

\\1-grams:
-1\t<unk>
-99\t<s>\t-0.3
-0.5\t</s>
-0.7\ta\t-0.2
-0.9\tb\t-0.1

\\2-grams:
-0.25\t<s> a
-0.4\ta b
-0.125\tb </s>

\\end\\
`;

test('a sentence by hand: bigrams where there are, backoff where not, <unk> for the rest', () => {
  const model = parseArpa(toy, 'toy.arpa');
  const close = (actual: number, expected: number) => ok(Math.abs(actual - expected) <= 1e-6, `${actual} ${expected}`);
  close(model.score(['a', 'b']), -0.25 - 0.4 - 0.125);
  close(model.score(['b']), -0.3 - 0.9 - 0.125); // <s> b backs off
  close(model.score(['a', 'x']), -0.25 + (-0.2 - 1) + -0.5); // x is <unk>, which has no backoff
});

test("KenLM's own expected scores on test.arpa, step by step", { skip: missing('real/lm/kenlm/test.arpa') }, () => {
  const model = parseArpa(readFileSync(shared('real/lm/kenlm/test.arpa'), 'utf8'), 'test.arpa');
  const steps = JSON.parse(readFileSync(shared('real/lm/kenlm/test_arpa_expected_scores.json'), 'utf8')) as KenlmStep[];
  let state = model.begin();
  const saved = new Map<string, number>();
  let checked = 0;
  for (const step of steps) {
    if (step.test === 'Stateless') continue; // scores from a forgotten state, which this model has no call for
    if (step.op === 'state') {
      const text = step.text!;
      const save = /State (\w+) = state;/.exec(text)?.[1];
      const load = /state = (\w+);/.exec(text)?.[1];
      if (save) saved.set(save, state);
      else if (text.includes('BeginSentence')) state = model.begin();
      else if (text.includes('NullContext')) state = model.empty();
      else state = saved.get(load!)!;
      continue;
    }
    const next = model.step(state, step.word);
    const error = Math.abs(model.lastScore - step.log10_prob);
    ok(
      !(error > Math.max(1e-5 * Math.abs(step.log10_prob), 1e-6)),
      `${step.test} ${step.word}: ${model.lastScore}, KenLM ${step.log10_prob}`,
    );
    // In "Blanks" KenLM fills holes of the file with n-grams of its own, which lengthens the match but not the score.
    if (step.test !== 'Blanks') strictEqual(model.lastLength, step.ngram_length, `${step.test} ${step.word}`);
    if (step.op === 'append') state = next;
    checked++;
  }
  ok(checked > 35, `${checked} steps`);
});

test('the other KenLM and pyctcdecode files load, with and without <unk>', {
  skip: missing('real/lm/kenlm/test_nounk.arpa'),
}, () => {
  for (const file of [
    'lm/kenlm/test_nounk.arpa',
    'lm/kenlm/toy0.arpa',
    'lm/kenlm/toy1.arpa',
    'lm/bugs_bunny_kenlm.arpa',
  ]) {
    const model = parseArpa(readFileSync(shared(`real/${file}`), 'utf8'), file);
    ok(model.score(['never', 'seen']) < 0, file);
  }
});

test('every truncation of a valid file is refused, and so are lies', () => {
  for (let length = 0; length < toy.length - 6; length += 3) {
    throws(() => parseArpa(toy.slice(0, length), 'cut.arpa'), { name: 'FormatError' }, `cut at ${length}`);
  }
  throws(() => parseArpa(toy.replace('ngram 2=3', 'ngram 2=4'), 'x'), { code: 'arpa.count' });
  throws(() => parseArpa(toy.replace('-0.4\ta b', '0.4\ta b'), 'x'), { code: 'arpa.probability' });
  throws(() => parseArpa(toy.replace('-0.4\ta b', 'nan\ta b'), 'x'), { code: 'arpa.line' });
  throws(() => parseArpa(toy.replace('ngram 2=3', 'ngram 2=3\nngram 9=1'), 'x'), { code: 'arpa.header' });
  strictEqual(parseArpa(toy, 'x').size, 8);
});
