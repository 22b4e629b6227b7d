/** Trained vocabularies equal those of sentencepiece, the tokenizers library and Stanford CS336 on the same text. */
import { deepStrictEqual, ok, rejects, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { missing } from '../../../test/support/shared.ts';
import { createTokenizer } from '../create-tokenizer.ts';
import { goldenJson, goldenText, sharedJson, sharedText } from '../testing/golden-files.ts';
import { PieceKind } from '../vocabulary.ts';
import { trainByteLevelBpe } from './byte-level-trainer.ts';
import type { TrainProgress } from './progress.ts';
import { isPiece, trainSentencePieceBpe } from './sentencepiece-trainer.ts';
import { WordCounts } from './word-counts.ts';
import { byteLevelToHf, sentencePieceToHf } from './write-hf.ts';
import { writeSentencePieceModel } from './write-sentencepiece.ts';

interface Entry {
  piece: string;
  score: number;
  type: keyof typeof PieceKind;
}

for (const [name, vocabSize] of [
  ['sp-bpe-512', 512],
  ['sp-bpe-1000', 1000],
] as const) {
  const folder = `tokenizers/${name}`;
  const lines = goldenText(`${folder}/train.txt`).split('\n');

  test(`${name}: pieces, order, kinds and scores are sentencepiece’s`, async () => {
    const { vectors } = goldenJson<{ vectors: Entry[] }>(`${folder}/vocab.json`);
    const { pieces } = await trainSentencePieceBpe(lines, { vocabSize });
    deepStrictEqual(
      pieces.map(({ piece, score, kind }) => [piece, score + 0, kind]),
      vectors.map(({ piece, score, type }) => [piece, score + 0, PieceKind[type]]),
    );
  });

  test(`${name}: the written tokenizer.model and tokenizer.json encode like sentencepiece`, async () => {
    const trained = await trainSentencePieceBpe(lines, { vocabSize });
    const model = createTokenizer({ kind: 'sentencepiece', file: 'm', bytes: writeSentencePieceModel(trained) });
    const { json, config } = sentencePieceToHf(trained);
    const hf = createTokenizer({ kind: 'hf', file: 'j', json, config, specialTokens: null });
    const { vectors } = goldenJson<{ vectors: { text: string; ids: number[]; decoded: string }[] }>(
      `${folder}/vectors.json`,
    );
    for (const { text, ids, decoded } of vectors) {
      deepStrictEqual(Array.from(model.encode(text)), ids);
      deepStrictEqual(Array.from(hf.encode(text)), ids);
      strictEqual(model.decode(ids), decoded);
    }
    const written = JSON.parse(json);
    const expected = JSON.parse(goldenText(`${folder}/tokenizer.json`));
    deepStrictEqual(written, expected);
  });
}

test('llama3-style-tiny: byte-level merges are the tokenizers library’s', async () => {
  const folder = 'tokenizers/llama3-style-tiny';
  const expected = JSON.parse(goldenText(`${folder}/tokenizer.json`));
  const lines = goldenText(`${folder}/train.txt`).split(/(?<=\n)/);
  const trained = await trainByteLevelBpe(lines, { vocabSize: 640, minCount: 2 });
  deepStrictEqual(trained.merges, expected.model.merges);
  deepStrictEqual(Object.fromEntries(trained.pieces.map((piece, id) => [piece, id])), expected.model.vocab);
});

test('CS336: byte-level merges are the course’s', { skip: missing('real/tokenizers/cs336_bpe') }, async () => {
  const folder = 'real/tokenizers/cs336_bpe';
  const expected = sharedText(`${folder}/train-bpe-reference-merges.txt`).trimEnd().split('\n');
  const trained = await trainByteLevelBpe([sharedText(`${folder}/corpus.en`)], {
    vocabSize: 500,
    pattern: 'gpt-2',
    ties: 'greatest',
    specialTokens: ['<|endoftext|>'],
  });
  deepStrictEqual(
    trained.merges.map((pair) => pair.join(' ')),
    expected,
  );
  const vocab = sharedJson<Record<string, number>>(`${folder}/train-bpe-reference-vocab.json`);
  deepStrictEqual([...trained.pieces].sort(), Object.keys(vocab).sort());
});

test('a byte-level vocabulary is written, read, and keeps special tokens apart', async () => {
  const text = 'the cat and the hat <|end|>that the cat had';
  const trained = await trainByteLevelBpe([text], { vocabSize: 264, specialTokens: ['<|begin|>', '<|end|>'] });
  ok(trained.pieces.every((piece) => !piece.includes('|>') || trained.specialTokens.includes(piece)));
  const { json, config } = byteLevelToHf(trained, { bos: '<|begin|>', eos: '<|end|>' });
  const tokenizer = createTokenizer({ kind: 'hf', file: 'j', json, config, specialTokens: null });
  deepStrictEqual([tokenizer.vocabSize, tokenizer.bosId, tokenizer.eosId, tokenizer.addBos], [264, 262, 263, true]);
  strictEqual(tokenizer.decode(tokenizer.encode('Über 日本 🦙 the cat')), 'Über 日本 🦙 the cat');
  ok(tokenizer.pieces(tokenizer.encode('the cat')).length < 7);
});

test('which texts may be pieces', () => {
  const cases: [string, boolean][] = [
    ['▁the', true],
    ['the▁', false],
    ['▁▁▁', true],
    ['▁▁a', false],
    ['a,', false],
    ['…,', true],
    ['a1', false],
    ['1', true],
    ['１２', false],
    ['日の', true],
    ['カー', true],
    ['aж', false],
    ['e\u0301', true],
    ['\u0301e', true],
    ['a'.repeat(16), true],
    ['a'.repeat(17), false],
    ['▅', false],
  ];
  for (const [text, expected] of cases) strictEqual(isPiece(text, 16), expected, text);
});

test('long and reserved sentences are left out and counted; <s> in text divides words', async () => {
  const lines = ['ab ab', 'x'.repeat(5000), 'has ▅ in it', 'ab<s>ab', '', '한'.repeat(1398)];
  const trained = await trainSentencePieceBpe(lines, { vocabSize: 264, characterCoverage: 1 });
  deepStrictEqual([trained.sentences, trained.tooLong, trained.reserved], [2, 2, 1]);
  ok(!trained.pieces.some(({ piece }) => piece.includes('<s>') && piece !== '<s>'));
});

test('what cannot be trained is refused with the numbers', async () => {
  await rejects(trainSentencePieceBpe([], { vocabSize: 300 }), /expected sentences of at most 4192 bytes, found none/);
  await rejects(
    trainSentencePieceBpe(['abc'], { vocabSize: 261 }),
    /expected vocabSize of at least 263 for 259 fixed pieces and 4 characters, found 261/,
  );
  await rejects(
    trainSentencePieceBpe(['abc'], { vocabSize: 300 }),
    /expected text for 300 pieces, found text for 26\d/,
  );
  await rejects(
    trainSentencePieceBpe(['abc'], { vocabSize: 1.5, characterCoverage: 2 }),
    /vocabSize from 260, found 1.5; characterCoverage in \(0, 1\], found 2/,
  );
  await rejects(trainByteLevelBpe(['abc'], { vocabSize: 200 }), /expected vocabSize from 256/);
});

test('memory is bounded: the rarest words go, and how many is said', () => {
  const words = new WordCounts(1000);
  for (let i = 0; i < 5000; i++) {
    words.add('often');
    words.add(`rare${i}`);
  }
  strictEqual(words.counts.get('often'), 5000);
  ok(words.counts.size <= 1000);
  strictEqual(words.prunedWords + words.counts.size, 5001);
  strictEqual(words.prunedOccurrences, words.prunedWords);
});

test('progress is told, to the end', async () => {
  const seen: TrainProgress[] = [];
  await trainSentencePieceBpe(
    goldenText('tokenizers/sp-bpe-512/train.txt').split('\n'),
    { vocabSize: 512 },
    (progress) => void seen.push(progress),
  );
  const last = seen.at(-1)!;
  deepStrictEqual(last, { stage: 'merging', done: last.total, total: last.total });
  strictEqual(seen[0]!.stage, 'reading');
});
