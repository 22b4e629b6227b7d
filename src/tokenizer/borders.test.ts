/** Places of a text among its tokens: what stands before a border, in bytes, is what the tokens before it spell. */
import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { goldenHf, goldenSentencePiece } from './testing/golden-files.ts';
import type { Tokenizer } from './tokenizer.ts';

const tokenizers = {
  sentencepiece: goldenSentencePiece('tokenizers/sp-bpe-512'),
  'byte-level': goldenHf('tokenizers/llama3-style-tiny'),
};

function spelled(tokenizer: Tokenizer, ids: Uint32Array, hasPrefix: boolean): Uint8Array {
  const bytes = Array.from(ids, (id) => [...tokenizer.bytesOf(id)]).flat();
  return Uint8Array.from(hasPrefix ? bytes.slice(1) : bytes);
}

/** Words that tokenizers join, between characters that they do not know. */
const texts = fc
  .array(
    fc.oneof(
      fc.constantFrom(' the', 'the', ' and', 'ing', ' was', 'er', '  ', '\n\n', 'é', '中'),
      fc.string({ unit: 'grapheme' }),
    ),
  )
  .map((parts) => parts.join(''))
  .filter((text) => text !== '');

for (const [name, tokenizer] of Object.entries(tokenizers)) {
  test(`${name}: the tokens before a place spell the text before it, up to the token it is inside of`, () => {
    let inside = 0;
    fc.assert(
      fc.property(texts, fc.double({ min: 0, max: 1, noNaN: true }), (text, share) => {
        const place = Math.floor(share * text.length);
        if (/[\udc00-\udfff]/.test(text[place] ?? '') || text.includes('▁')) return;
        const segments = [{ text, trusted: false }];
        const { ids, borders } = tokenizer.encodeSegmentsWithBorders(segments, [place]);
        deepStrictEqual(ids, tokenizer.encodeSegments(segments));
        const [{ token, isInside }] = borders as [(typeof borders)[0]];
        const utf8 = new TextEncoder();
        const before = utf8.encode(text.slice(0, place));
        const hasPrefix = name === 'sentencepiece';
        const least = spelled(tokenizer, ids.slice(0, token), hasPrefix);
        const most = spelled(tokenizer, ids.slice(0, token + 1), hasPrefix);
        if (place === 0)
          deepStrictEqual([token, isInside], [0, false]); // with the space that SentencePiece puts in front
        else ok(most.length > before.length || token === ids.length, `${JSON.stringify(text)} at ${place}`);
        if (isInside) {
          inside++;
          ok(least.length < before.length);
        } else if (place > 0) deepStrictEqual(least, before);
      }),
      { numRuns: 500 },
    );
    ok(inside > 0, 'no place was inside of a token');
  });
}

test('a special token is one token, a border beside it is not inside', () => {
  const tokenizer = tokenizers['byte-level'];
  const end = tokenizer.controlTokens[0]!.content;
  const text = `ab${end}cd`;
  const { ids, borders } = tokenizer.encodeSegmentsWithBorders([{ text, trusted: true }], [2, 4, 2 + end.length]);
  const at = ids.indexOf(tokenizer.idOf(end)!);
  deepStrictEqual(
    borders.map(({ token, isInside }) => [token, isInside]),
    [
      [at, false],
      [at, true],
      [at + 1, false],
    ],
  );
  strictEqual(tokenizer.encodeSegmentsWithBorders([], [0]).borders[0]!.token, 0);
});
