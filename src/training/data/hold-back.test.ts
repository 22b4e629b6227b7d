import { deepEqual, equal, ok } from 'node:assert/strict';
import test from 'node:test';
import { holdBack } from './hold-back.ts';

const documents = (...texts: string[]) => texts.map((text, i) => ({ text, weight: i }));

test('of many documents every 20th is held back, and none is in both parts', () => {
  const all = Array.from({ length: 45 }, (_, i) => ({ text: `document ${i}`, weight: 1 }));
  const { kept, heldBack } = holdBack(all);
  deepEqual(
    heldBack.map(({ text }) => text),
    ['document 19', 'document 39'],
  );
  deepEqual(
    kept,
    all.filter((document) => !heldBack.includes(document)),
  );
});

test('one long document gives its last lines, about 5 % of it', () => {
  const lines = Array.from({ length: 200 }, (_, i) => `line number ${i}`);
  const { kept, heldBack } = holdBack(documents(lines.join('\n')));
  deepEqual([...kept[0]!.text.split('\n'), ...heldBack[0]!.text.split('\n')], lines);
  ok(Math.abs(heldBack[0]!.text.split('\n').length - 10) <= 1);
});

test('a text of one line is cut between words; one of one word is kept whole', () => {
  deepEqual(holdBack(documents('a cat sat on a mat')).kept, [{ text: 'a cat sat on a', weight: 0 }]);
  deepEqual(holdBack(documents('a cat sat on a mat')).heldBack, [{ text: 'mat', weight: 0 }]);
  const word = holdBack(documents('cat'));
  deepEqual([word.kept.length, word.heldBack.length], [1, 0]);
  equal(holdBack(documents('x\n')).heldBack.length, 0);
});
