/** A trained unigram vocabulary equals sentencepiece's on the same text. */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { createTokenizer } from '../../create-tokenizer.ts';
import { goldenText } from '../../testing/golden-files.ts';
import { sentencePieceToHf } from '../write-hf.ts';
import { writeSentencePieceModel } from '../write-sentencepiece.ts';
import { Lattice } from './lattice.ts';
import { seedPieces, sortSuffixes } from './seeds.ts';
import reference from './sentencepiece-512.json' with { type: 'json' };
import reference600 from './sentencepiece-600.json' with { type: 'json' };
import { digamma, trainSentencePieceUnigram } from './unigram-trainer.ts';

const close = (what: string, actual: number, expected: number, limit: number) =>
  ok(Math.abs(actual - expected) <= limit, `${what}: got ${actual}, expected ${expected}`);

test('digamma: ψ(1) = −γ, ψ(1/2) = −γ − 2 ln 2, ψ(x + 1) = ψ(x) + 1/x', () => {
  const gamma = 0.5772156649015329;
  close('ψ(1)', digamma(1), -gamma, 1e-9);
  close('ψ(1/2)', digamma(0.5), -gamma - 2 * Math.LN2, 1e-9);
  for (const x of [0.7, 3, 12.5, 1e6]) close(`ψ(${x} + 1)`, digamma(x + 1), digamma(x) + 1 / x, 1e-9);
});

test('suffixes are sorted within their words, and seeds are what comes twice and goes on in two ways', () => {
  const symbols = Int32Array.from([...'banana'].map((c) => c.charCodeAt(0)).concat(0));
  const positions = Int32Array.from([0, 1, 2, 3, 4, 5]);
  sortSuffixes(positions, symbols, 17);
  deepStrictEqual([...positions], [5, 3, 1, 0, 4, 2]);
  // "an" always is part of "ana", which is followed by n and by the end; "na" by n and the end.
  const { pieces, scores } = seedPieces(
    new Map([['banana\n', 2]]),
    new Map([
      ['a', 6],
      ['n', 4],
      ['b', 2],
    ]),
    16,
    1000,
  );
  deepStrictEqual(pieces, ['a', 'n', 'b', 'ana', 'na']);
  const total = 6 + 4 + 2 + 4 * 3 + 4 * 2;
  for (const [i, weight] of [6, 4, 2, 12, 8].entries()) close(pieces[i]!, scores[i]!, Math.log(weight / total), 1e-12);
});

test('expected counts are shares of all ways to cut: by hand', () => {
  const half = Math.log(0.5);
  const quarter = Math.log(0.25);
  // aa: as one piece 1/4, as two 1/2 · 1/2
  const lattice = new Lattice(['a', 'aa'], Float64Array.of(half, quarter));
  lattice.lay('aa');
  const expected = new Float64Array(2);
  close('log p', lattice.addExpected(expected, 3), half, 1e-12);
  close('a', expected[0]!, 3, 1e-12);
  close('aa', expected[1]!, 1.5, 1e-12);
  deepStrictEqual(lattice.best(true), [0, 0]);
});

test('pieces, their order and scores are sentencepiece’s, and both files encode like it', async () => {
  const lines = goldenText('tokenizers/sp-bpe-512/train.txt').split('\n');
  const trained = await trainSentencePieceUnigram(lines, { vocabSize: 512 });
  strictEqual(trained.pieces.length, 512);
  const expected = new Map(reference.pieces as [string, number][]);
  for (const [i, { piece, score }] of trained.pieces.slice(259).entries()) {
    ok(expected.has(piece), `${piece} is no piece of sentencepiece's`);
    close(piece, score, expected.get(piece)!, 5e-5);
    // Where scores differ by more than f32 sums do, so does the order.
    close(`score of piece ${i}`, score, (reference.pieces[i] as [string, number])[1], 5e-5);
  }
  const { json, config } = sentencePieceToHf(trained);
  const model = createTokenizer({ kind: 'sentencepiece', file: 'm', bytes: writeSentencePieceModel(trained) });
  const hf = createTokenizer({ kind: 'hf', file: 'j', json, config, specialTokens: null });
  const named = (id: number) => (id < 259 ? model.pieceOf(id) : (reference.pieces[id - 259] as [string, number])[0]);
  for (const { text, ids } of reference.encoded) {
    deepStrictEqual(model.pieces(model.encode(text)), ids.map(named), text);
    deepStrictEqual(hf.encode(text), model.encode(text));
    strictEqual(model.decode(model.encode(text)), text);
  }
});

test('a text whose choice depends on what takes a piece’s place gives the pieces of sentencepiece 0.2', async () => {
  const lines = goldenText('tokenizers/sp-bpe-1000/train.txt').split('\n');
  const trained = await trainSentencePieceUnigram(lines, { vocabSize: 600 });
  const expected = new Map(reference600.pieces as [string, number][]);
  strictEqual(trained.pieces.length - 259, expected.size);
  for (const { piece, score } of trained.pieces.slice(259)) {
    ok(expected.has(piece), `${piece} is no piece of sentencepiece's`);
    close(piece, score, expected.get(piece)!, 1e-4);
  }
});

test('a text that is too small is refused with the numbers, or gives fewer', async () => {
  await rejects(
    trainSentencePieceUnigram(['abc abd'], { vocabSize: 300 }),
    /expected text for 300 pieces, found text for/,
  );
  const { pieces } = await trainSentencePieceUnigram(['abc abd'], { vocabSize: 300, hardVocabLimit: false });
  ok(pieces.length > 263 && pieces.length < 300);
});
