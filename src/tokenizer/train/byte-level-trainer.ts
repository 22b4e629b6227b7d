/**
 * Trains a byte-level BPE vocabulary: words by a splitting pattern, bytes as the first symbols, the most frequent pair
 * becomes a token. Special tokens are kept out of the text and take the last ids.
 * Source   Radford et al. 2019 §2.2; ties as in Hugging Face's BpeTrainer ('oldest') or Stanford CS336 ('greatest').
 */
import { ArgumentError } from '../../base/errors.ts';
import { bytesToLetters, letterOfByte, lettersToBytes } from '../byte-alphabet.ts';
import { type SplitPattern, splitPatterns } from '../encode/named-splits.ts';
import { compileSplitPattern, splitBy } from '../encode/split-pattern.ts';
import { MergeLearner } from './merge-learner.ts';
import type { OnTrainProgress } from './progress.ts';
import { isBeforeByCodePoint } from './text-order.ts';
import { WordCounts } from './word-counts.ts';

/** The patterns that a new vocabulary may be trained with, of those in the table. */
export const trainablePatterns = ['gpt-2', 'llama3', 'qwen2'] as const satisfies readonly SplitPattern[];
export type TrainablePattern = (typeof trainablePatterns)[number];

export interface ByteLevelTrainOptions {
  /** Bytes, merges and special tokens together. */
  readonly vocabSize: number;
  readonly pattern?: TrainablePattern;
  readonly specialTokens?: readonly string[];
  /** Of equally frequent pairs: the one of the oldest tokens, or the greatest in the order of bytes. */
  readonly ties?: 'oldest' | 'greatest';
  /** Rarer pairs are not merged; the vocabulary may then stay smaller. */
  readonly minCount?: number;
  readonly maxWords?: number;
}

/** What `cria tokenizer train` takes where nothing is said: Llama 3's words and tokens, and merges that pay. */
export const byteLevelDefaults = {
  pattern: 'llama3',
  begin: '<|begin_of_text|>',
  end: '<|end_of_text|>',
  minCount: 2,
} as const;

export interface TrainedByteLevel {
  /** Pieces in the byte alphabet, by id; special tokens last. */
  readonly pieces: readonly string[];
  readonly merges: readonly (readonly [string, string])[];
  readonly specialTokens: readonly string[];
  readonly pattern: TrainablePattern;
  readonly prunedWords: number;
  readonly prunedOccurrences: number;
}

export async function trainByteLevelBpe(
  texts: Iterable<string> | AsyncIterable<string>,
  options: ByteLevelTrainOptions,
  onProgress: OnTrainProgress = () => {},
): Promise<TrainedByteLevel> {
  const {
    vocabSize,
    pattern = 'llama3',
    specialTokens = [],
    ties = 'oldest',
    minCount = 1,
    maxWords = 4_000_000,
  } = options;
  const wanted = vocabSize - 256 - specialTokens.length;
  if (!(Number.isInteger(vocabSize) && wanted >= 0)) {
    throw new ArgumentError(
      'tokenizer.vocab-too-small',
      `tokenizer training: expected vocabSize from ${256 + specialTokens.length} (bytes and special tokens), found ${vocabSize}.`,
    );
  }
  const words = await countWords(texts, pattern, specialTokens, maxWords, onProgress);
  await onProgress({ stage: 'merging', done: 0, total: wanted });

  const encoder = new TextEncoder();
  const bytes = [...letterOfByte].sort((a, b) => (isBeforeByCodePoint(a, b) ? -1 : 1));
  const idOf = new Map(bytes.map((letter, id) => [letter, id]));
  const learner = new MergeLearner(words.counts, (word) => Array.from(bytesToLetters(encoder.encode(word))), {
    mayMerge: () => true,
    isFrozen: () => false,
    sameText: 'same-symbol',
    goesFirst:
      ties === 'oldest'
        ? (a, b, c, d) => (idOf.get(a)! - idOf.get(c)! || idOf.get(b)! - idOf.get(d)!) < 0
        : (a, b, c, d) => (compareBytes(a, c) || compareBytes(b, d)) > 0,
  });
  const merges: [string, string][] = [];
  const limit = 256 + wanted;
  while (idOf.size < limit) {
    const best = learner.takeBest();
    if (best === null || best.count < minCount) break;
    const piece = best.left + best.right;
    if (!idOf.has(piece)) idOf.set(piece, idOf.size);
    merges.push([best.left, best.right]);
    learner.merge(best.id);
    if (merges.length % 100 === 0) await onProgress({ stage: 'merging', done: merges.length, total: wanted });
  }
  await onProgress({ stage: 'merging', done: merges.length, total: wanted });
  const { prunedWords, prunedOccurrences } = words;
  return { pieces: [...idOf.keys(), ...specialTokens], merges, specialTokens, pattern, prunedWords, prunedOccurrences };
}

/** Distinct words; special tokens cut the text and do not count. */
async function countWords(
  texts: Iterable<string> | AsyncIterable<string>,
  pattern: TrainablePattern,
  specialTokens: readonly string[],
  maxWords: number,
  onProgress: OnTrainProgress,
): Promise<WordCounts> {
  const split = splitBy(compileSplitPattern('training text', splitPatterns[pattern]), 'keep');
  const plain = new WordCounts(maxWords);
  let done = 0;
  await onProgress({ stage: 'reading', done, total: null });
  for await (const text of texts) {
    for (const part of cutAt(text.toWellFormed(), specialTokens)) split(part, (word) => plain.add(word));
    if (++done % 10_000 === 0) await onProgress({ stage: 'reading', done, total: null });
  }
  await onProgress({ stage: 'reading', done, total: null });
  if (plain.counts.size === 0) {
    throw new ArgumentError('tokenizer.no-text', 'tokenizer training: expected some text, found none.');
  }
  return plain;
}

function cutAt(text: string, specialTokens: readonly string[]): string[] {
  return specialTokens.reduce((parts, token) => parts.flatMap((part) => part.split(token)), [text]);
}

function compareBytes(a: string, b: string): number {
  const bytesA = lettersToBytes(a)!;
  const bytesB = lettersToBytes(b)!;
  for (let i = 0; i < bytesA.length && i < bytesB.length; i++) {
    if (bytesA[i] !== bytesB[i]) return bytesA[i]! - bytesB[i]!;
  }
  return bytesA.length - bytesB.length;
}
