import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { LookUp, SHORTEST_MATCH } from './look-up.ts';

function find(text: readonly number[], count: number) {
  const guess = new Uint32Array(count);
  const match = new LookUp().find(guess, Uint32Array.from(text), text.length);
  return { match, guess: [...guess] };
}

test('what followed the longest equal end is guessed', () => {
  // 1 2 3 stood before 4 5, and 9 2 3 before 7: the end is … 1 2 3.
  const { match, guess } = find([1, 2, 3, 4, 5, 9, 2, 3, 7, 8, 1, 2, 3], 4);
  deepStrictEqual([match, guess], [3, [4, 5, 9, 2]]);
});

test('of equally long ones the newest counts, and one token is no match', () => {
  deepStrictEqual(find([1, 2, 5, 0, 1, 2, 6, 7, 1, 2], 2), { match: 2, guess: [6, 7] });
  strictEqual(find([1, 2, 3, 9, 3], 2).match, 0);
  strictEqual(find([4], 2).match, 0);
});

test('a place that runs into the end repeats itself', () => {
  deepStrictEqual(find([1, 2, 3, 1, 2, 3, 1, 2], 7).guess, [3, 1, 2, 3, 1, 2, 3]);
});

test('any text: a guess follows an earlier place with the same end, longest first, however the text came', () => {
  fc.assert(
    fc.property(fc.array(fc.nat(3), { minLength: 1, maxLength: 40 }), fc.integer({ min: 1, max: 5 }), (text, step) => {
      const ids = Uint32Array.from(text);
      const grown = new LookUp();
      const guess = new Uint32Array(3);
      for (let length = 1; length < text.length; length += step) grown.find(guess, ids, length);
      const match = grown.find(guess, ids, text.length);
      deepStrictEqual(
        { match, guess: match === 0 ? [0, 0, 0] : [...guess] },
        {
          match,
          guess: match === 0 ? [0, 0, 0] : find(text, 3).guess,
        },
      );
      let longest = 0;
      for (let end = 1; end < text.length; end++) {
        let equal = 0;
        while (equal < end && text[end - 1 - equal] === text[text.length - 1 - equal]) equal++;
        longest = Math.max(longest, equal);
      }
      strictEqual(match, longest < SHORTEST_MATCH ? 0 : longest);
      ok(match === 0 || text.includes(guess[0]!));
    }),
  );
});
