/**
 * Text → input rows of a fastText model: the words it knows, their character n-grams, word n-grams.
 * Source: Bojanowski et al. 2016, arXiv:1607.04606 (subwords); Joulin et al. 2016, arXiv:1607.01759 (hashed word n-grams).
 */
import type { DictionaryEntry, FastTextArguments } from './fasttext-format.ts';

export const END_OF_LINE = '</s>';
const encoder = new TextEncoder();

export interface Vocabulary {
  readonly args: Pick<FastTextArguments, 'bucket' | 'minn' | 'maxn' | 'wordNgrams'>;
  readonly wordIds: ReadonlyMap<string, number>;
  readonly wordCount: number;
  /** bucket → row after the words, for models whose buckets are pruned; undefined: every bucket has its row. */
  readonly pruned: PrunedBuckets | undefined;
}

interface PrunedBuckets {
  /** A bit per bucket that has a row: most have none, and the bits fit in a core's cache where the rows do not. */
  readonly present: Uint8Array;
  readonly rows: Int32Array;
}

export function createVocabulary(
  args: Vocabulary['args'],
  words: readonly DictionaryEntry[],
  pruned: ReadonlyMap<number, number> | undefined,
): Vocabulary {
  const wordIds = new Map(words.map(({ text }, id) => [text, id]));
  return { args, wordIds, wordCount: words.length, pruned: pruned && prunedBuckets(args.bucket, pruned) };
}

function prunedBuckets(bucketCount: number, pruned: ReadonlyMap<number, number>): PrunedBuckets {
  const present = new Uint8Array(Math.ceil(bucketCount / 8));
  const rows = new Int32Array(bucketCount);
  for (const [bucket, row] of pruned) {
    if (bucket < 0 || bucket >= bucketCount || row < 0) continue;
    present[bucket >> 3]! |= 1 << (bucket & 7);
    rows[bucket] = row;
  }
  return { present, rows };
}

/** FNV-1a as fastText computes it: bytes are sign-extended first. */
export function fastTextHash(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let hash = 2166136261;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ ((bytes[i]! << 24) >> 24), 16777619);
  return hash >>> 0;
}

/** What fastText cuts words at: space, tab, line ends, vertical tab, form feed and NUL. */
export function isWordEnd(unit: number): boolean {
  return unit <= 32 && (unit === 32 || (unit >= 9 && unit <= 13) || unit === 0);
}

/** Words of a line as fastText cuts them, at isWordEnd. */
export function splitWords(text: string): string[] {
  return text.split(/[ \n\r\t\v\f\0]+/).filter((word) => word !== '');
}

/** Appends the rows of one word: itself if known, and its character n-grams `<…>` of minn to maxn characters. */
export function pushWordRows(rows: number[], word: string, vocabulary: Vocabulary): void {
  const { minn, maxn } = vocabulary.args;
  const id = vocabulary.wordIds.get(word);
  if (id !== undefined) rows.push(id);
  if (maxn <= 0 || word === END_OF_LINE) return;
  const length = encodeBracketed(word);
  const bytes = bracketed;
  for (let i = 0; i < length; i++) {
    if ((bytes[i]! & 0xc0) === 0x80) continue;
    let hash = 2166136261 | 0;
    for (let j = i, n = 1; j < length && n <= maxn; n++) {
      do hash = Math.imul(hash ^ ((bytes[j++]! << 24) >> 24), 16777619);
      while (j < length && (bytes[j]! & 0xc0) === 0x80);
      const isBracket = n === 1 && (i === 0 || j === length);
      if (n >= minn && !isBracket) pushBucket(rows, hash >>> 0, vocabulary);
    }
  }
}

let bracketed = new Uint8Array(256);

/** Leaves `<word>` as UTF-8 in `bracketed` and returns its length. */
function encodeBracketed(word: string): number {
  if (word.length * 3 + 2 > bracketed.length) bracketed = new Uint8Array(word.length * 6);
  bracketed[0] = LESS;
  let at = 1;
  for (; at <= word.length; at++) {
    const unit = word.charCodeAt(at - 1);
    if (unit > 127) break;
    bracketed[at] = unit;
  }
  if (at <= word.length) at += encoder.encodeInto(word.slice(at - 1), bracketed.subarray(at)).written;
  bracketed[at] = GREATER;
  return at + 1;
}

const [LESS, GREATER] = [60, 62];

/** fastText's multiplier of word n-gram hashes, under 2²⁷. */
const WORD_NGRAM_PRIME = 116049371;

/**
 * Appends the rows of the hashed word n-grams of a line: hash · prime + next word, modulo 2⁶⁴, words sign-extended, kept in two halves.
 * `hashes`: fastTextHash of each word, in order.
 */
export function pushWordNgramRows(rows: number[], hashes: readonly number[], vocabulary: Vocabulary): void {
  const { wordNgrams, bucket } = vocabulary.args;
  for (let i = 0; i < hashes.length; i++) {
    let low = hashes[i]! >>> 0;
    let high = (hashes[i]! | 0) < 0 ? 0xffffffff : 0;
    for (let j = i + 1; j < hashes.length && j < i + wordNgrams; j++) {
      const word = hashes[j]! | 0;
      const first = (low & 0xffff) * WORD_NGRAM_PRIME;
      const second = (low >>> 16) * WORD_NGRAM_PRIME + Math.floor(first / 0x10000);
      const sum = (second % 0x10000) * 0x10000 + (first % 0x10000) + (word >>> 0);
      high =
        (Math.imul(high, WORD_NGRAM_PRIME) +
          Math.floor(second / 0x10000) +
          (word >> 31) +
          Math.floor(sum / 2 ** 32)) >>>
        0;
      low = sum >>> 0;
      let rest = high % bucket;
      rest = (rest * 0x10000 + (low >>> 16)) % bucket;
      rest = (rest * 0x10000 + (low & 0xffff)) % bucket;
      pushBucket(rows, rest, vocabulary);
    }
  }
}

/** All rows of a line, its end included, as `fasttext predict` reads it. */
export function lineRows(text: string, vocabulary: Vocabulary): number[] {
  const rows: number[] = [];
  const words = splitWords(text);
  words.push(END_OF_LINE);
  for (const word of words) pushWordRows(rows, word, vocabulary);
  if (vocabulary.args.wordNgrams > 1) {
    pushWordNgramRows(
      rows,
      words.map((word) => fastTextHash(encoder.encode(word))),
      vocabulary,
    );
  }
  return rows;
}

function pushBucket(rows: number[], hash: number, vocabulary: Vocabulary): void {
  const bucket = (hash >>> 0) % (vocabulary.args.bucket >>> 0);
  const { pruned, wordCount } = vocabulary;
  if (!pruned) rows.push(wordCount + bucket);
  else if ((pruned.present[bucket >> 3]! >> (bucket & 7)) & 1) rows.push(wordCount + pruned.rows[bucket]!);
}
