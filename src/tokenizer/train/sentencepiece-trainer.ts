/**
 * Trains a SentencePiece BPE vocabulary with the settings of LLaMA's tokenizer.model: identity normalisation, dummy prefix,
 * byte fallback, digits apart, pieces of one script, whitespace-only pieces. Pieces, order and scores are sentencepiece's.
 *
 * Two differences: all sentences are read (sentencepiece samples beyond input_sentence_size), and a vocabulary that the text
 * cannot fill is refused (sentencepiece adds pieces that occur nowhere).
 * Source   sentencepiece bpe_model_trainer.cc, trainer_interface.cc.
 */
import { ArgumentError } from '../../base/errors.ts';
import { SPACE } from '../encode/merges.ts';
import { PieceKind } from '../vocabulary.ts';
import { type LearnerRules, MergeLearner } from './merge-learner.ts';
import type { OnTrainProgress } from './progress.ts';
import { scriptOf } from './scripts.ts';
import { isShorterOrFirst } from './text-order.ts';
import { WordCounts } from './word-counts.ts';

export interface SentencePieceTrainOptions {
  readonly vocabSize: number;
  /** Share of characters that get a piece of their own; the rest is spelled in bytes. */
  readonly characterCoverage?: number;
  /** Longer sentences (in UTF-8 bytes) are left out. */
  readonly maxSentenceBytes?: number;
  /** Characters in the longest piece. */
  readonly maxPieceLength?: number;
  /** Distinct words held in memory. */
  readonly maxWords?: number;
  /** Whether a text that gives fewer pieces is refused; otherwise there are fewer. */
  readonly hardVocabLimit?: boolean;
}

/** LLaMA's settings. */
export const llamaTrainDefaults = {
  characterCoverage: 0.99995,
  maxSentenceBytes: 4192,
  maxPieceLength: 16,
  maxWords: 4_000_000,
  hardVocabLimit: true,
} as const;

export interface TrainedPiece {
  readonly piece: string;
  readonly score: number;
  readonly kind: PieceKind;
}

export interface TrainedSentencePiece {
  readonly modelType: 'bpe' | 'unigram';
  readonly pieces: readonly TrainedPiece[];
  readonly options: Required<SentencePieceTrainOptions>;
  /** What was left out, to be said. */
  readonly sentences: number;
  readonly tooLong: number;
  readonly reserved: number;
  readonly prunedWords: number;
  readonly prunedOccurrences: number;
}

/** Stands for a rare character in sentencepiece's trainer; sentences that hold it are skipped there, and here. */
export const UNKNOWN = '▅';
const BOUNDARY = '\t';

export const metaPieces: readonly TrainedPiece[] = [
  { piece: '<unk>', score: 0, kind: PieceKind.unknown },
  { piece: '<s>', score: 0, kind: PieceKind.control },
  { piece: '</s>', score: 0, kind: PieceKind.control },
  ...Array.from({ length: 256 }, (_, byte) => ({
    piece: `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
    score: 0,
    kind: PieceKind.byte,
  })),
];

export async function trainSentencePieceBpe(
  sentences: Iterable<string> | AsyncIterable<string>,
  trainOptions: SentencePieceTrainOptions,
  onProgress: OnTrainProgress = () => {},
): Promise<TrainedSentencePiece> {
  const options = { ...llamaTrainDefaults, ...trainOptions };
  checkOptions(options);
  const { words, ...read } = await countWords(sentences, options, onProgress);
  const characters = [...requiredCharacters(words.counts, options.characterCoverage).keys()];
  const wanted = wantedPieces(options.vocabSize, characters.length);
  const merged = await learnPieces(words.counts, new Set(characters), wanted, options, onProgress);
  if (merged.length < wanted && options.hardVocabLimit)
    throw tooFewPieces(options.vocabSize, options.vocabSize - wanted + merged.length);
  const learned = [...merged, ...characters].map((piece, i) => ({ piece, score: -i, kind: PieceKind.normal }));
  return {
    modelType: 'bpe',
    pieces: [...metaPieces, ...learned],
    options,
    ...read,
    prunedWords: words.prunedWords,
    prunedOccurrences: words.prunedOccurrences,
  };
}

/** Pieces beside the fixed ones and the characters. Throws ArgumentError `tokenizer.vocab-too-small`. */
export function wantedPieces(vocabSize: number, characters: number): number {
  const wanted = vocabSize - metaPieces.length - characters;
  if (wanted >= 0) return wanted;
  throw new ArgumentError(
    'tokenizer.vocab-too-small',
    `tokenizer training: expected vocabSize of at least ${vocabSize - wanted} for ${metaPieces.length} fixed pieces and ` +
      `${characters} characters, found ${vocabSize}. Raise it (--vocab-size), or lower characterCoverage (--character-coverage).`,
  );
}

export function tooFewPieces(wanted: number, found: number): ArgumentError {
  return new ArgumentError(
    'tokenizer.vocab-too-large',
    `tokenizer training: expected text for ${wanted} pieces, found text for ${found}. ` +
      'Lower vocabSize (--vocab-size) to that or less, take what there is (--hard-vocab-limit no), or give more text.',
  );
}

export function checkOptions({
  vocabSize,
  characterCoverage,
  maxSentenceBytes,
  maxPieceLength,
  maxWords,
}: Required<SentencePieceTrainOptions>): void {
  const problems: string[] = [];
  if (!(Number.isInteger(vocabSize) && vocabSize > metaPieces.length && vocabSize <= 1 << 22)) {
    problems.push(`vocabSize from ${metaPieces.length + 1}, found ${vocabSize}`);
  }
  if (!(characterCoverage > 0 && characterCoverage <= 1))
    problems.push(`characterCoverage in (0, 1], found ${characterCoverage}`);
  if (!(maxSentenceBytes >= 1)) problems.push(`maxSentenceBytes from 1, found ${maxSentenceBytes}`);
  if (!(Number.isInteger(maxPieceLength) && maxPieceLength >= 1))
    problems.push(`maxPieceLength from 1, found ${maxPieceLength}`);
  if (!(maxWords >= 1000)) problems.push(`maxWords from 1000, found ${maxWords}`);
  if (problems.length > 0)
    throw new ArgumentError('tokenizer.train-options', `tokenizer training: expected ${problems.join('; ')}.`);
}

/** Words of all sentences with their counts: a word is a run of ▁ and what follows it up to the next. `lastMark` is put behind the last of a sentence. */
export async function countWords(
  sentences: Iterable<string> | AsyncIterable<string>,
  options: Required<SentencePieceTrainOptions>,
  onProgress: OnTrainProgress,
  lastMark = '',
): Promise<{ words: WordCounts; sentences: number; tooLong: number; reserved: number }> {
  const words = new WordCounts(options.maxWords);
  const meta = new RegExp(metaPieces.map(({ piece }) => piece).join('|'), 'g');
  let count = 0;
  let tooLong = 0;
  let reserved = 0;
  await onProgress({ stage: 'reading', done: 0, total: null });
  for await (const sentence of sentences) {
    if (sentence === '') continue;
    const text = sentence.toWellFormed();
    if (utf8Length(text) > options.maxSentenceBytes) {
      tooLong++;
    } else if (text.includes(UNKNOWN)) {
      reserved++;
    } else {
      let normalized = SPACE + text.replaceAll(' ', SPACE);
      if (normalized.includes('<')) normalized = normalized.replace(meta, BOUNDARY);
      splitWords(normalized, words, lastMark);
      count++;
      if (count % 10_000 === 0) await onProgress({ stage: 'reading', done: count, total: null });
    }
  }
  await onProgress({ stage: 'reading', done: count, total: null });
  if (words.counts.size === 0) {
    throw new ArgumentError(
      'tokenizer.no-text',
      `tokenizer training: expected sentences of at most ${options.maxSentenceBytes} bytes, found none (${tooLong} were longer). ` +
        'Give text in shorter lines, or raise maxSentenceBytes.',
    );
  }
  return { words, sentences: count, tooLong, reserved };
}

function splitWords(normalized: string, words: WordCounts, lastMark: string): void {
  const space = SPACE.charCodeAt(0);
  for (let begin = 0; begin < normalized.length; ) {
    let end = begin;
    while (end < normalized.length && normalized.charCodeAt(end) === space) end++;
    end = normalized.indexOf(SPACE, end);
    if (end === -1) end = normalized.length;
    words.add(end === normalized.length ? normalized.slice(begin) + lastMark : normalized.slice(begin, end));
    begin = end;
  }
}

function utf8Length(text: string): number {
  let bytes = text.length;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    if (unit >= 0x80) bytes += unit >= 0x800 && (unit < 0xd800 || unit > 0xdfff) ? 2 : 1;
  }
  return bytes;
}

/** The most frequent characters until `coverage` of all are covered, with their counts: most frequent first, then by code point. `mark` is none. */
export function requiredCharacters(
  words: ReadonlyMap<string, number>,
  coverage: number,
  mark = '',
): Map<string, number> {
  const counts = new Map<string, number>();
  let total = 0;
  for (const [word, count] of words) {
    for (const character of word) {
      if (character === BOUNDARY || character === '\0' || character === mark) continue;
      counts.set(character, (counts.get(character) ?? 0) + count);
      total += count;
    }
  }
  const sorted = Array.from(counts).sort(
    ([a, countA], [b, countB]) => countB - countA || a.codePointAt(0)! - b.codePointAt(0)!,
  );
  const required = new Map<string, number>();
  const limit = Math.fround(coverage); // sentencepiece compares in f32
  let covered = 0;
  for (const [character, count] of sorted) {
    if (Math.fround(covered / total) >= limit) break;
    covered += count;
    required.set(character, count);
  }
  return required;
}

async function learnPieces(
  words: ReadonlyMap<string, number>,
  characters: ReadonlySet<string>,
  wanted: number,
  options: Required<SentencePieceTrainOptions>,
  onProgress: OnTrainProgress,
): Promise<string[]> {
  const rules: LearnerRules = {
    mayMerge: (left, right) => isPiece(left + right, options.maxPieceLength),
    goesFirst: (left1, right1, left2, right2) => isShorterOrFirst(left1 + right1, left2 + right2),
    sameText: 'new-symbol',
    isFrozen: (text) => text === UNKNOWN,
  };
  await onProgress({ stage: 'merging', done: 0, total: wanted });
  const split = (word: string) => Array.from(word, (character) => (characters.has(character) ? character : UNKNOWN));
  const learner = new MergeLearner(words, split, rules);
  const pieces = new Set<string>();
  while (pieces.size < wanted) {
    const best = learner.takeBest();
    if (best === null) break;
    const piece = best.left + best.right;
    if (pieces.has(piece)) continue; // the same text by another way is left as it is
    pieces.add(piece);
    learner.merge(best.id);
    if (pieces.size % 100 === 0) await onProgress({ stage: 'merging', done: pieces.size, total: wanted });
  }
  await onProgress({ stage: 'merging', done: pieces.size, total: wanted });
  return [...pieces];
}

/** Whether a text of several characters may be a piece: short, one script, no digits, ▁ only in front or nothing but ▁. */
export function isPiece(text: string, maxLength: number): boolean {
  const characters = Array.from(text);
  if (characters.length > maxLength) return false;
  const isAllSpace = characters.every((character) => character === SPACE);
  let script: string | null = null;
  for (const [i, character] of characters.entries()) {
    if (character === SPACE) {
      if (i > 0 && !isAllSpace) return false;
      continue;
    }
    if (character === UNKNOWN || character === '\0' || character === BOUNDARY) return false;
    if (/^[0-9０-９]$/.test(character) && characters.length > 1) return false;
    const own = scriptOf(character);
    const current: string | null = own === 'Inherited' ? script : own;
    if (script !== null && current !== null && current !== script) return false;
    script = current;
  }
  return true;
}
