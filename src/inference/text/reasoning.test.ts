import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { openedBy, ReasoningReader } from './reasoning.ts';

function read(pieces: readonly string[], prompt = ''): { reasoning: string; answer: string } {
  const reader = new ReasoningReader(openedBy(prompt));
  const parts = [...pieces.map((piece) => reader.push(piece)), reader.flush()];
  return {
    reasoning: parts.map(({ reasoning }) => reasoning).join(''),
    answer: parts.map(({ answer }) => answer).join(''),
  };
}

test('a block at the beginning is reasoning, one later is text', () => {
  deepStrictEqual(read(['<think>hm</think>\n\nYes.']), { reasoning: 'hm', answer: 'Yes.' });
  deepStrictEqual(read(['\n[THINK]hm[/THINK]Yes.']), { reasoning: 'hm', answer: 'Yes.' });
  deepStrictEqual(read(['Write <think>x</think>.']), { reasoning: '', answer: 'Write <think>x</think>.' });
  deepStrictEqual(read(['a <th']), { reasoning: '', answer: 'a <th' });
  deepStrictEqual(read(['<thi']), { reasoning: '', answer: '<thi' });
  deepStrictEqual(read(['<think>never closed </thi']), { reasoning: 'never closed </thi', answer: '' });
});

test('a prompt that opened the block', () => {
  deepStrictEqual(read(['hm', '</think>', 'Yes.'], '<|assistant|>\n<think>\n'), { reasoning: 'hm', answer: 'Yes.' });
  strictEqual(openedBy('<|assistant|>\n<think>\n\n</think>\n'), null);
});

test('law: however the text is cut into pieces, the same is read', () => {
  const whole = '<think>a < b </thin k></think> \n so </think> x';
  const expected = read([whole]);
  fc.assert(
    fc.property(fc.array(fc.nat(whole.length)), (cuts) => {
      const places = [0, ...cuts.sort((a, b) => a - b), whole.length];
      const pieces = places.slice(1).map((end, i) => whole.slice(places[i], end));
      deepStrictEqual(read(pieces), expected);
    }),
  );
});
