import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { IdBuffer } from '../encode/id-buffer.ts';
import { createVocabulary, PieceKind } from '../vocabulary.ts';
import { CharacterMap } from './character-map.ts';
import { PieceTrie } from './piece-trie.ts';
import { UnigramModel } from './unigram-model.ts';

const pieces = ['<unk>', '▁', 'ab', 'abc', 'c', '▁a', 'bc', '🦙'];
const scores = [0, -1, -3, -9, -2, -5, -4, -1];

function modelOf(unknownId: number | null): UnigramModel {
  const kinds = Uint8Array.from(pieces, (piece) => (piece === '<unk>' ? PieceKind.unknown : PieceKind.normal));
  const vocabulary = createVocabulary('v', pieces, kinds, 'refuse');
  const normalize = (text: string) => text;
  return new UnigramModel({ vocabulary, scores, normalize, words: 'free', sums: 'f64', byteIds: null, unknownId });
}

test('the best path wins over the longest piece', () => {
  const model = modelOf(0);
  const encode = (text: string) => {
    const out = new IdBuffer();
    model.encode(text, out);
    return [...out.take()].map((id) => pieces[id]);
  };
  deepStrictEqual(encode('▁abc'), ['▁', 'ab', 'c']); // −6, against −10 and −9
  deepStrictEqual(encode('xyab🦙z'), ['<unk>', 'ab', '🦙', '<unk>'], 'neighbouring unknown characters are one');
  deepStrictEqual(encode(''), []);
  deepStrictEqual(model.merges('xyab')[0]!.states, [['xy', 'ab']]);
});

test('a trie finds what was added, however much that is', () => {
  const trie = new PieceTrie();
  const texts = Array.from({ length: 5000 }, (_, i) => (i * 7919).toString(36));
  for (const [i, text] of texts.entries()) trie.add(text, i);
  for (const [i, text] of texts.entries()) {
    let node = 0;
    for (const unit of text) node = trie.next(node, unit.charCodeAt(0));
    strictEqual(trie.endAt(node), i);
  }
  strictEqual(trie.next(0, 'é'.charCodeAt(0)), -1);
});

test('the longest entry of a normalisation table is replaced', () => {
  const map = new CharacterMap('t', tableOf({ é: 'e', éa: '', '①': '1' }));
  strictEqual(map.apply('éb éa ①🦙'), 'eb  1🦙');
  strictEqual(map.apply('plain'), 'plain');
});

/** A double array that saves no room: the children of each node have 256 units of their own. */
function tableOf(entries: Readonly<Record<string, string>>): Uint8Array {
  const encoder = new TextEncoder();
  const nodes = new Map([['', 1]]);
  const keys = Object.keys(entries).map((key) => [key, [...encoder.encode(key)]] as const);
  for (const [, bytes] of keys)
    for (let i = 1; i <= bytes.length; i++) {
      const prefix = String(bytes.slice(0, i));
      if (!nodes.has(prefix)) nodes.set(prefix, nodes.size + 1);
    }
  const units = new Uint32Array(256 * (nodes.size + 1));
  const unitOf = (from: number, to: number) => ((from ^ to) << 10) >>> 0;
  const placeOf = (prefix: string) => 256 * nodes.get(prefix)!;
  units[0] = unitOf(0, placeOf(''));
  const replacements: number[] = [];
  for (const [key, bytes] of keys) {
    for (let i = 0; i < bytes.length; i++) {
      const at = placeOf(String(bytes.slice(0, i))) ^ bytes[i]!;
      const child = placeOf(String(bytes.slice(0, i + 1)));
      units[at] = (unitOf(at, child) | bytes[i]! | (units[at]! & 0x100) | (i + 1 === bytes.length ? 0x100 : 0)) >>> 0;
      if (i + 1 === bytes.length) units[child] = (0x80000000 | replacements.length) >>> 0;
    }
    replacements.push(...encoder.encode(entries[key]!), 0);
  }
  return Uint8Array.from([
    ...new Uint8Array(Uint32Array.of(4 * units.length).buffer),
    ...new Uint8Array(units.buffer),
    ...replacements,
  ]);
}
