import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { missing, shared } from '../../../test/support/shared.ts';
import type { ByteSource } from '../../tensor/source.ts';
import { stripGutenberg } from '../stages/books.ts';
import { findNearDuplicates, type Sketch, sketch } from './near.ts';
import { eachSketch, encodeSketch } from './sketch-file.ts';

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
      findNearDuplicates((visit) => order.forEach(visit), 0.9).map(({ id, of }) => [id, of]),
      [['small', 'large']],
    );
  }
  const [half] = findNearDuplicates((visit) => [sketches[1]!, sketches[3]!].forEach(visit), 0.3);
  ok(Math.abs(half!.overlap - 0.56) < 0.25, `${half!.overlap} of it is in the other`);
  deepStrictEqual(
    findNearDuplicates((visit) => [sketch('a', 'tiny text'), sketch('b', 'Tiny, text!')].forEach(visit), 0.9).length,
    1,
  );
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
  const found = findNearDuplicates((visit) => sketches.forEach(visit), 0.9);
  strictEqual(found.length, 1);
  ok(found[0]!.id.startsWith('alice') && found[0]!.of.startsWith('alice') && found[0]!.overlap > 0.93);
});

test('sketches come back from their file, and the outcome does not depend on how many hashes are looked at together', () => {
  const texts = Array.from({ length: 40 }, (_, i) => words(i * 300, i * 300 + 400 + ((i * 37) % 500)));
  const sketches = texts.map((text, i) => sketch(`books/é${i}`, text));
  const file = Buffer.concat(sketches.map(encodeSketch));
  const source: ByteSource = {
    name: 'run.bin',
    byteLength: file.length,
    close: () => {},
    readInto: (target, offset) => target.set(file.subarray(offset, offset + target.length)),
  };
  const read: Sketch[] = [];
  eachSketch(source, ({ id, shingles, hashes }) => read.push({ id, shingles, hashes: Float64Array.from(hashes) }));
  deepStrictEqual(read, sketches);
  const whole = findNearDuplicates((visit) => eachSketch(source, visit), 0.3);
  ok(whole.length > 5 && whole.length < 40, `${whole.length} go`);
  // The obvious way: sets, largest first.
  const kept: Sketch[] = [];
  const expected = [...sketches]
    .sort((a, b) => b.shingles - a.shingles || (a.id < b.id ? -1 : 1))
    .flatMap((each) => {
      const shared = kept.map(({ hashes }) => {
        const theirs = new Set(Array.from(hashes));
        return Array.from(each.hashes).filter((hash) => theirs.has(hash)).length;
      });
      const most = Math.max(0, ...shared);
      if (most / each.hashes.length > 0.3) return [[each.id, kept[shared.indexOf(most)]!.id]];
      kept.push(each);
      return [];
    });
  deepStrictEqual(
    whole.map(({ id, of }) => [id, of]),
    expected,
  );
  for (const sliceHashes of [1, 50, 1000])
    deepStrictEqual(
      findNearDuplicates((visit) => sketches.forEach(visit), 0.3, sliceHashes),
      whole,
    );
});
