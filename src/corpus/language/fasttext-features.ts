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
  /** bucket → row after the words, −1 for a pruned bucket; undefined: every bucket has its row. */
  readonly pruned: Int32Array | undefined;
}

export function createVocabulary(
  args: Vocabulary['args'],
  words: readonly DictionaryEntry[],
  pruned: ReadonlyMap<number, number> | undefined,
): Vocabulary {
  const wordIds = new Map(words.map(({ text }, id) => [text, id]));
  let table: Int32Array | undefined;
  if (pruned) {
    table = new Int32Array(args.bucket).fill(-1);
    for (const [bucket, row] of pruned) if (bucket >= 0 && bucket < args.bucket) table[bucket] = row;
  }
  return { args, wordIds, wordCount: words.length, pruned: table };
}

/** FNV-1a as fastText computes it: bytes are sign-extended first. */
export function fastTextHash(bytes: Uint8Array, from = 0, to = bytes.length): number {
  let hash = 2166136261;
  for (let i = from; i < to; i++) hash = Math.imul(hash ^ ((bytes[i]! << 24) >> 24), 16777619);
  return hash >>> 0;
}

/** Words of a line as fastText cuts them: at space, tab, line ends, vertical tab, form feed and NUL. */
export function splitWords(text: string): string[] {
  return text.split(/[ \n\r\t\v\f\0]+/).filter((word) => word !== '');
}

/** Appends the rows of one word: itself if known, and its character n-grams `<…>` of minn to maxn characters. */
export function pushWordRows(rows: number[], word: string, vocabulary: Vocabulary): void {
  const { minn, maxn } = vocabulary.args;
  const id = vocabulary.wordIds.get(word);
  if (id !== undefined) rows.push(id);
  if (maxn <= 0 || word === END_OF_LINE) return;
  const bytes = encoder.encode(`<${word}>`);
  for (let i = 0; i < bytes.length; i++) {
    if ((bytes[i]! & 0xc0) === 0x80) continue;
    let hash = 2166136261;
    for (let j = i, n = 1; j < bytes.length && n <= maxn; n++) {
      do hash = Math.imul(hash ^ ((bytes[j++]! << 24) >> 24), 16777619);
      while (j < bytes.length && (bytes[j]! & 0xc0) === 0x80);
      const isBracket = n === 1 && (i === 0 || j === bytes.length);
      if (n >= minn && !isBracket) pushBucket(rows, hash >>> 0, vocabulary);
    }
  }
}

/** Appends the rows of the hashed word n-grams of a line. `hashes`: fastTextHash of each word, in order. */
export function pushWordNgramRows(rows: number[], hashes: readonly number[], vocabulary: Vocabulary): void {
  const { wordNgrams } = vocabulary.args;
  for (let i = 0; i < hashes.length; i++) {
    let hash = BigInt.asUintN(64, BigInt(hashes[i]! | 0));
    for (let j = i + 1; j < hashes.length && j < i + wordNgrams; j++) {
      hash = BigInt.asUintN(64, hash * 116049371n + BigInt(hashes[j]! | 0));
      pushBucket(rows, Number(hash % BigInt(vocabulary.args.bucket)), vocabulary);
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
  const bucket = hash % vocabulary.args.bucket;
  if (vocabulary.pruned) {
    const row = vocabulary.pruned[bucket]!;
    if (row >= 0) rows.push(vocabulary.wordCount + row);
  } else rows.push(vocabulary.wordCount + bucket);
}
