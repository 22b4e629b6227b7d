import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { missing, shared } from '../../../test/support/shared.ts';
import { stripGutenberg } from '../stages/books.ts';
import { findNearDuplicates, sketch } from './near.ts';

const words = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `word${from + i}`).join(' ');

test('a text contained in a larger one goes, the larger stays, whatever the order', () => {
  const texts = [
    ['small', words(0, 1000)],
    ['large', words(0, 1060)],
    ['other', words(5000, 6000)],
    ['half', words(500, 1500)],
  ] as const;
  const sketches = texts.map(([id, text]) => sketch(id, text));
  for (const order of [sketches, sketches.toReversed()]) {
    deepStrictEqual(
      findNearDuplicates(order, 0.9).map(({ id, of }) => [id, of]),
      [['small', 'large']],
    );
  }
  const [half] = findNearDuplicates([sketches[1]!, sketches[3]!], 0.3);
  ok(Math.abs(half!.overlap - 0.56) < 0.25, `${half!.overlap} of it is in the other`);
  deepStrictEqual(findNearDuplicates([sketch('a', 'tiny text'), sketch('b', 'Tiny, text!')], 0.9).length, 1);
});

const books = ['alice30_old', 'alice_11-0', 'grimm_2591-0', 'pride_1342-0', 'sherlock_1661'];

test('of five real books the older edition of Alice goes', {
  skip: missing('real/text/gutenberg/alice30_old.txt'),
}, () => {
  const sketches = books.map((name) => {
    const document = {
      id: name,
      text: readFileSync(shared(`real/text/gutenberg/${name}.txt`), 'utf8'),
      attributes: {},
    };
    const before = document.text.length;
    stripGutenberg().apply(document, { removed: () => {} });
    ok(document.text.length < before, `${name} lost its licence`);
    ok(!/START OF (THE|THIS) PROJECT GUTENBERG|END OF (THE|THIS) PROJECT GUTENBERG/.test(document.text), name);
    return sketch(name, document.text);
  });
  const found = findNearDuplicates(sketches, 0.9);
  strictEqual(found.length, 1);
  ok(found[0]!.id.startsWith('alice') && found[0]!.of.startsWith('alice') && found[0]!.overlap > 0.93);
});
