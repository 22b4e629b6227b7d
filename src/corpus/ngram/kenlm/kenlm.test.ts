/** Binary files of all six kinds, written here from ARPA files by the format's description, score as the ARPA files do. */
import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { kenlmFile, kinds } from '../../../../test/support/kenlm.ts';
import { missing, shared } from '../../../../test/support/shared.ts';
import { MemorySource } from '../../../formats/memory-source.ts';
import { parseArpa } from '../arpa.ts';
import { createNgramModel, readNgramParts, writeNgramModel } from '../file.ts';
import { NgramModel } from '../model.ts';
import { NgramHash } from './hash64.ts';
import { HashedNgramModel } from './hashed.ts';
import { isKenlm } from './layout.ts';
import { bitsFor, chopped } from './packed.ts';
import { readKenlm } from './read.ts';

const toy = `\\data\\
ngram 1=6
ngram 2=4
ngram 3=2

\\1-grams:
-1\t<unk>
-99\t<s>\t-0.3
-0.5\t</s>
-0.7\ta\t-0.2
-0.9\tb\t-0.1
-1.1\tc\t-0.4

\\2-grams:
-0.25\t<s> a\t-0.05
-0.4\ta b\t-0.15
-0.125\tb </s>
-0.33\tb c

\\3-grams:
-0.2\t<s> a b
-0.6\tc a b

\\end\\
`;

const read = (bytes: Uint8Array) => readKenlm(new MemorySource('toy.bin', bytes));
const sentences = [['a', 'b'], ['b'], ['a', 'x'], ['c', 'a', 'b', 'c', 'a', 'b'], [], ['x', 'x', 'b', 'a']];

for (const kind of kinds) {
  test(`${kind}: sentences score as in the ARPA file`, () => {
    const arpa = parseArpa(toy, 'toy.arpa');
    const model = read(kenlmFile(toy, kind));
    ok(model instanceof (kind === 'probing' || kind === 'rest' ? HashedNgramModel : NgramModel));
    for (const words of sentences) close(model.score(words), arpa.score(words), `${kind}: ${words.join(' ')}`);
  });
}

test('many bigrams and few trigrams, so that pointers leave bits to arrays', () => {
  let seed = 1;
  const random = (below: number) => (seed = (seed * 48271) % 2147483647) % below;
  const words = Array.from({ length: 20 }, (_, i) => `w${i}`);
  const some = (count: number, length: number) => [
    ...new Set(Array.from({ length: count }, () => Array.from({ length }, () => words[random(20)]).join(' '))),
  ];
  const bigrams = some(200, 2);
  const trigrams = Array.from({ length: 6 }, (_, i) => `${bigrams[20 * i]} ${words[random(20)]}`);
  const lines = (order: number, grams: readonly string[]) =>
    [
      `\\${order}-grams:`,
      ...grams.map((gram) => `${-(1 + random(20)) / 8}\t${gram}${order < 3 ? `\t${-random(9) / 8}` : ''}`),
      '',
    ].join('\n');
  const ones = ['<unk>', '<s>', '</s>', ...words];
  const arpa = `\\data\\\nngram 1=${ones.length}\nngram 2=${bigrams.length}\nngram 3=${trigrams.length}\n\n${lines(1, ones)}\n${lines(2, bigrams)}\n${lines(3, trigrams)}\n\\end\\\n`;
  ok(chopped(bigrams.length + 1, trigrams.length, 64) > 0);
  const expected = parseArpa(arpa, 'arpa');
  const texts = Array.from({ length: 40 }, () => Array.from({ length: 9 }, () => words[random(20)]!)).concat(
    trigrams.map((gram) => gram.split(' ')),
  );
  for (const kind of kinds) {
    const model = read(kenlmFile(arpa, kind));
    for (const text of texts) close(model.score(text), expected.score(text), `${kind}: ${text.join(' ')}`);
  }
});

test('a sentence by hand: a trigram, a bigram, a backoff through both', () => {
  for (const kind of ['probing', 'quantized array trie'] as const) {
    const model = read(kenlmFile(toy, kind));
    close(model.score(['a', 'b']), -0.25 - 0.2 + (-0.15 - 0.125), kind); // a b has a backoff, <s> a b is no bigram
    close(model.score(['c']), -0.3 - 1.1 + (-0.4 - 0.5), kind);
  }
});

interface Step {
  readonly test: string;
  readonly op: 'state' | 'append' | 'peek';
  readonly text?: string;
  readonly word: string;
  readonly ngram_length: number;
  readonly log10_prob: number;
}

test("KenLM's own expected scores on test.arpa, from all kinds of files", {
  skip: missing('real/lm/kenlm/test.arpa'),
}, () => {
  const arpa = readFileSync(shared('real/lm/kenlm/test.arpa'), 'utf8');
  const steps = JSON.parse(readFileSync(shared('real/lm/kenlm/test_arpa_expected_scores.json'), 'utf8')) as Step[];
  for (const kind of kinds) {
    const walk = walker(read(kenlmFile(arpa, kind)));
    const saved = new Map<string, unknown>();
    let state = walk.begin();
    let checked = 0;
    for (const step of steps) {
      if (step.test === 'Stateless') continue;
      if (step.op === 'state') {
        const save = /State (\w+) = state;/.exec(step.text!)?.[1];
        const load = /state = (\w+);/.exec(step.text!)?.[1];
        if (save) saved.set(save, state);
        else if (step.text!.includes('BeginSentence')) state = walk.begin();
        else state = step.text!.includes('NullContext') ? walk.empty() : saved.get(load!);
        continue;
      }
      const next = walk.step(state, step.word);
      close(walk.score(), step.log10_prob, `${kind}: ${step.word}`);
      if (step.op === 'append') state = next;
      checked++;
    }
    ok(checked > 30, String(checked));
  }
});

/** Word by word: states are numbers in one model, the words so far in the other. */
function walker(model: NgramModel | HashedNgramModel) {
  if (model instanceof NgramModel) {
    return {
      begin: (): unknown => model.begin(),
      empty: (): unknown => model.empty(),
      step: (state: unknown, word: string): unknown => model.step(state as number, word),
      score: () => model.lastScore,
    };
  }
  let score = 0;
  return {
    begin: (): unknown => [model.scoringId('<s>')],
    empty: (): unknown => [],
    step(state: unknown, word: string): unknown {
      const context = state as number[];
      const id = model.scoringId(word);
      score = model.scoreNext(context, context.length, id);
      return [id, ...context];
    },
    score: () => score,
  };
}

test('a model that is read is kept in the work folder’s form, of both kinds', () => {
  for (const kind of ['rest', 'trie'] as const) {
    const parts: Uint8Array[] = [];
    const model = read(kenlmFile(toy, kind));
    writeNgramModel(model, (bytes) => parts.push(bytes.slice()));
    const again = createNgramModel(readNgramParts(new MemorySource('kept', Buffer.concat(parts))));
    for (const words of sentences) strictEqual(again.score(words), model.score(words));
  }
});

test('hashes of 64 bits are those of whole numbers', () => {
  const mask = (1n << 64n) - 1n;
  const hash = new NgramHash();
  hash.begin(7);
  let expected = 7n;
  for (const word of [0, 1, 65535, 65536, 4_000_000_000]) {
    hash.extend(word);
    expected = ((expected * 8978948897894561157n) & mask) ^ ((BigInt(word + 1) * 17894857484156487943n) & mask);
    strictEqual((BigInt(hash.high) << 32n) | BigInt(hash.low), expected);
    for (const buckets of [1, 7, 65537, 2 ** 36 - 5])
      strictEqual(hash.modulo(buckets), Number(expected % BigInt(buckets)));
  }
});

test('pointers leave as many bits to an array as makes the whole smallest', () => {
  deepStrictEqual([0, 1, 2, 255, 256].map(bitsFor), [0, 1, 2, 8, 9]);
  // 1001 pointers up to 1000, ten bits each: of c bits, ⌊1000 / 2^(10 − c)⌋ · 64 − 1001 c is least for 4.
  strictEqual(chopped(1001, 1000, 255), 4);
  strictEqual(chopped(1001, 1000, 2), 2);
  strictEqual(chopped(3, 1000, 255), 0);
});

test('every cut of a file, and every wrong byte of its header, is refused in words or reads as something', () => {
  for (const kind of kinds) {
    const file = kenlmFile(toy, kind);
    ok(isKenlm(new MemorySource('f', file)));
    for (let length = 0; length < file.length; length += 7)
      throws(() => read(file.slice(0, length)), { name: 'FormatError', code: 'kenlm.damaged' }, `${kind} ${length}`);
    for (let at = 0; at < file.length; at += 3) {
      const wrong = file.slice();
      wrong[at] = wrong[at]! ^ 0xff;
      try {
        read(wrong).score(['a', 'b']);
      } catch (error) {
        strictEqual((error as { code?: string }).code, 'kenlm.damaged', `${kind} ${at}: ${(error as Error).stack}`);
      }
    }
  }
  ok(!isKenlm(new MemorySource('arpa', new TextEncoder().encode(toy))));
});

function close(actual: number, expected: number, what: string): void {
  ok(Math.abs(actual - expected) <= 2e-5, `${what}: got ${actual}, expected ${expected}`);
}
