import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { missing, shared } from '../../../test/support/shared.ts';
import type { ByteSource } from '../../tensor/source.ts';
import { parseArpa } from './arpa.ts';
import { createNgramModel, readNgramParts, writeNgramModel } from './file.ts';
import { KneserNeyTrainer } from './kneser-ney.ts';
import type { NgramModel } from './model.ts';

function close(actual: number, expected: number, limit: number, what: string): void {
  ok(Math.abs(actual - expected) <= limit, `${what}: ${actual}, expected ${expected}`);
}

function probability(model: NgramModel, context: readonly string[], word: string): number {
  let state = context[0] === '<s>' ? model.begin() : model.empty();
  for (const each of context) if (each !== '<s>') state = model.step(state, each);
  model.step(state, word);
  return 10 ** model.lastScore;
}

test('bigrams of two sentences by hand, with the fallback discounts', () => {
  const trainer = new KneserNeyTrainer({ order: 2 });
  trainer.sentence(['a', 'b']);
  trainer.sentence(['a', 'a']);
  const { model, grams, fallbackOrders } = trainer.train();
  deepStrictEqual(fallbackOrders, [1, 2]);
  deepStrictEqual(grams.discounts[1], [0, 0.5, 1, 1.5]);
  // Different words before: a after {<s>, a} = 2, b after {a} = 1, </s> after {b, a} = 2; total 5. V = a b </s> <unk>.
  const gamma = (1 + 0.5 + 1) / 5;
  const a = (2 - 1) / 5 + gamma / 4;
  const b = (1 - 0.5) / 5 + gamma / 4;
  close(probability(model, [], 'a'), a, 1e-6, 'p(a)');
  close(probability(model, [], 'b'), b, 1e-6, 'p(b)');
  close(probability(model, [], 'never'), gamma / 4, 1e-6, 'p(<unk>)');
  // After a come b, a, </s>, once each: Σ = 3, each discounted by 0.5.
  const gammaA = 1.5 / 3;
  close(probability(model, ['a'], 'b'), 0.5 / 3 + gammaA * b, 1e-6, 'p(b|a)');
  // After <s> comes a, twice.
  close(probability(model, ['<s>'], 'a'), (2 - 1) / 2 + (1 / 2) * a, 1e-6, 'p(a|<s>)');
});

test('the discounts follow Chen & Goodman when the counts of counts allow it', () => {
  const trainer = new KneserNeyTrainer({ order: 1 });
  // Word i appears as often as its group says: n1 = 8, n2 = 4, n3 = 3, n4 = 2; </s> 25 times.
  const groups = [8, 4, 3, 2];
  const words = groups
    .flatMap((size, j) => Array.from({ length: size }, (_, i) => Array<string>(j + 1).fill(`w${j}-${i}`)))
    .flat();
  for (const word of words) trainer.sentence([word]);
  const { grams, fallbackOrders } = trainer.train();
  deepStrictEqual(fallbackOrders, []);
  const y = 8 / (8 + 2 * 4);
  const expected = [0, 1 - (2 * y * 4) / 8, 2 - (3 * y * 3) / 4, 3 - (4 * y * 2) / 3];
  for (const j of [1, 2, 3]) close(grams.discounts[1]![j]!, expected[j]!, 1e-12, `D${j}`);
});

/** The texts follow from the n-grams in the files, which KenLM's own tests keep as outputs of lmplz -o 3 --discount_fallback. */
for (const [file, text] of [
  ['toy0', ['a a b a', 'b a a b']],
  ['toy1', ['a a b b b b b b b', 'c']],
] as const) {
  test(`every probability and backoff of lmplz's ${file}.arpa`, { skip: missing(`real/lm/kenlm/${file}.arpa`) }, () => {
    const trainer = new KneserNeyTrainer({ order: 3 });
    for (const line of text) trainer.sentence(line.split(' '));
    const ours = arpaEntries([...trainer.train().grams.arpa()].join(''));
    const theirs = arpaEntries(readFileSync(shared(`real/lm/kenlm/${file}.arpa`), 'utf8'));
    deepStrictEqual([...ours.keys()].sort(), [...theirs.keys()].sort());
    for (const [words, [probability, backoff]] of theirs) {
      close(ours.get(words)![0], probability, 1e-6, `p of ${words}`);
      close(ours.get(words)![1], backoff, 1e-6, `backoff of ${words}`);
    }
  });
}

function arpaEntries(arpa: string): Map<string, [number, number]> {
  const lines = arpa.split('\n').filter((line) => line.includes('\t'));
  return new Map(
    lines.map((line) => {
      const [probability, words, backoff = '0'] = line.split('\t');
      return [words!, [Number(probability), Number(backoff)]];
    }),
  );
}

test('a model written to a file and read back scores the same bits, in shared memory too', () => {
  const trainer = new KneserNeyTrainer({ order: 4 });
  for (const line of ['a b c a b', 'c b a', 'b b b', ''])
    trainer.sentence(line.split(' ').filter((word) => word !== ''));
  const { model } = trainer.train();
  const parts: Uint8Array[] = [];
  writeNgramModel(model, (bytes) => parts.push(bytes));
  const file = Buffer.concat(parts);
  const source = (bytes: Uint8Array): ByteSource => ({
    name: 'model.ngram',
    byteLength: bytes.length,
    close: () => {},
    readInto: (target, offset) => target.set(bytes.subarray(offset, offset + target.length)),
  });
  for (const allocate of [(bytes: number) => new ArrayBuffer(bytes), (bytes: number) => new SharedArrayBuffer(bytes)]) {
    const read = createNgramModel(readNgramParts(source(file), allocate));
    for (const line of ['a b c', 'b x b', 'c', '']) {
      const words = line.split(' ').filter((word) => word !== '');
      strictEqual(read.score(words), model.score(words), line);
    }
  }
  for (const length of [0, 10, 20, file.length - 9])
    throws(() => readNgramParts(source(file.subarray(0, length))), { name: 'FormatError' });
});

const sentences = fc.array(fc.array(fc.constantFrom('a', 'b', 'c', 'd', 'e'), { maxLength: 8 }), {
  minLength: 1,
  maxLength: 12,
});

test('after any context, the probabilities of all words sum to one', () => {
  fc.assert(
    fc.property(sentences, fc.integer({ min: 1, max: 4 }), (corpus, order) => {
      const trainer = new KneserNeyTrainer({ order });
      for (const sentence of corpus) trainer.sentence(sentence);
      const { model, grams } = trainer.train();
      const vocabulary = grams.words.filter((word) => word !== '<s>');
      for (const context of [[], ['<s>'], ['a'], ['b', 'c'], ['<s>', 'a', 'b'], ['nowhere', 'e']]) {
        const sum = vocabulary.reduce((total, word) => total + probability(model, context, word), 0);
        close(sum, 1, 1e-5, `order ${order} after ${context.join(' ')}`);
      }
    }),
    { numRuns: 60 },
  );
});

test('the ARPA file scores as the model it was written from, and does not depend on the order of the sentences', () => {
  fc.assert(
    fc.property(sentences, sentences, (corpus, probes) => {
      const train = (lines: string[][]) => {
        const trainer = new KneserNeyTrainer({ order: 3 });
        for (const sentence of lines) trainer.sentence(sentence);
        return trainer.train();
      };
      const { model, grams } = train(corpus);
      const read = parseArpa([...grams.arpa()].join(''), 'own.arpa');
      const backwards = train(corpus.toReversed()).model;
      for (const probe of probes) {
        close(read.score(probe), model.score(probe), 1e-6 * (probe.length + 1), 'read back');
        close(backwards.score(probe), model.score(probe), 1e-6 * (probe.length + 1), 'reversed');
      }
    }),
    { numRuns: 40 },
  );
});

test('the memory bound is kept, and the order is checked', () => {
  const trainer = new KneserNeyTrainer({ order: 3, maximumNgrams: 10 });
  throws(() => trainer.sentence(Array.from({ length: 20 }, (_, i) => `w${i}`)), { code: 'ngram.too-many' });
  throws(() => new KneserNeyTrainer({ order: 0 }), { code: 'ngram.order' });
  strictEqual(new KneserNeyTrainer({ order: 5 }).order, 5);
});
