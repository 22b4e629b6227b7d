import { strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { accepts } from '../testing/grammars.ts';
import { otherTexts } from './other-texts.ts';

test('every text but the words: beginnings of them, and what goes on from them, too', () => {
  const texts = fc.string({ unit: fc.constantFrom('a', 'b', 'é', '😀'), maxLength: 4 });
  fc.assert(
    fc.property(fc.array(texts, { maxLength: 6 }), fc.array(texts, { minLength: 1, maxLength: 6 }), (words, others) => {
      const root = otherTexts(words, (set) => ({ kind: 'characters', set }));
      const grammar = { rules: new Map([['root', root]]), root: 'root' };
      for (const text of ['', ...words, ...others]) strictEqual(accepts(grammar, text), !words.includes(text), text);
    }),
    { numRuns: 300 },
  );
});

test('half of a surrogate pair in a word is no character of a text', () => {
  const root = otherTexts(['a\ud800b', 'ac'], (set) => ({ kind: 'characters', set }));
  const grammar = { rules: new Map([['root', root]]), root: 'root' };
  strictEqual(accepts(grammar, 'ac'), false);
  strictEqual(accepts(grammar, 'ad'), true);
});
