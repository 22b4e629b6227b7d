import { deepStrictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { Candidates } from './candidates.ts';
import { infill } from './infill.ts';

/** What is left of tokens with these texts and shares; '<end>' ends a text. */
function left(shares: Readonly<Record<string, number>>, mayEnd = true): string[] {
  const texts = ['<end>', ...Object.keys(shares).filter((text) => text !== '<end>')];
  const candidates = new Candidates(texts.length);
  candidates.load(Float32Array.from(texts, (text) => Math.log(shares[text] ?? 0)));
  if (shares['<end>'] === undefined) {
    candidates.sortBest(texts.length - 1);
    candidates.keepFirst(texts.length - 1);
  }
  infill(candidates, { eogIds: new Set([0]), textOf: (id) => (id === 0 ? '' : texts[id]!) }, mayEnd);
  return Array.from(candidates.ids.subarray(0, candidates.count), (id) => texts[id]!).sort();
}

test('by hand: ends that weigh enough are all that is left', () => {
  deepStrictEqual(left({ '<end>': 0.2, a: 0.4, b: 0.4 }), ['<end>']);
  deepStrictEqual(left({ '<end>': 0.05, a: 0.6, b: 0.35 }), ['<end>', 'a', 'b']);
});

test('by hand: a text and its beginning are counted together, for the likelier', () => {
  deepStrictEqual(left({ re: 0.15, return: 0.12, x: 0.19, y: 0.18, z: 0.18, w: 0.18 }), ['re']);
  deepStrictEqual(left({ re: 0.12, return: 0.15, x: 0.19, y: 0.18, z: 0.18, w: 0.18 }), ['return']);
});

test('by hand: of what is likely, what has less than its part of the rest goes', () => {
  deepStrictEqual(left({ a: 0.79, b: 0.21 }), ['a']); // 0.21 < 1/3
  deepStrictEqual(left({ a: 0.4, b: 0.3, c: 0.3 }), ['a', 'b', 'c']); // all of at least 1/4
});

test('by hand: where nothing is likely the text ends, unless a form forbids it', () => {
  const flat = Object.fromEntries(Array.from('abcdefghij', (text, i) => [text, 0.1 + (i === 0 ? 0.001 : 0)]));
  deepStrictEqual(left(flat), ['<end>']);
  deepStrictEqual(left(flat, false), ['a']);
});
