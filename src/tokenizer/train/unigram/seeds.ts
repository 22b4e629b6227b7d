/**
 * The pieces that a unigram vocabulary is pruned from: every character, and every text within a word that comes twice or more and goes on in
 * more than one way. They are the inner nodes of the suffix tree, found as intervals of the suffix array that share a beginning.
 *
 *   score = occurrences · characters, as a share of the sum over all seeds
 *
 * Words stand once, with how often they come; what follows a word (another one, or the end of the line) counts as a way to go on. Suffixes are sorted
 * by as many characters as a piece may have, and one more.
 * Source   Kudo 2018, arXiv:1804.10959 §3.2; sentencepiece unigram_model_trainer.cc, MakeSeedSentencePieces.
 */
import { isPiece, UNKNOWN } from '../sentencepiece-trainer.ts';

/** In place of a symbol: a word ends, at the end of its line or before another word. */
const END_OF_LINE = 0;
const BEFORE_WORD = 1;

/** A word and the mark of what follows it; see countWords. */
export const LAST_OF_LINE = '\n';

export interface Seeds {
  readonly pieces: readonly string[];
  /** Log-probabilities. */
  readonly scores: Float64Array;
}

/** `words`: the count of each word, those that end a line marked with LAST_OF_LINE. `characters`: those that get pieces, with their counts. */
export function seedPieces(
  words: ReadonlyMap<string, number>,
  characters: ReadonlyMap<string, number>,
  maxPieceLength: number,
  maxSeeds: number,
): Seeds {
  const { symbols, weights, positions } = layWords(words, characters);
  const depth = maxPieceLength + 1;
  sortSuffixes(positions, symbols, depth);
  const found: { readonly piece: string; readonly score: number }[] = [];
  eachInterval(positions, symbols, weights, depth, (start, length, occurrences) => {
    if (length < 2 || length > maxPieceLength) return;
    for (let i = start; i < start + length; i++) if (symbols[i]! <= BEFORE_WORD) return;
    const piece = String.fromCodePoint(...symbols.subarray(start, start + length));
    if (isPiece(piece, maxPieceLength)) found.push({ piece, score: occurrences * length });
  });
  found.sort((a, b) => b.score - a.score || (a.piece < b.piece ? -1 : 1));
  const seeds = [
    ...[...characters].map(([piece, score]) => ({ piece, score })),
    ...found.slice(0, Math.max(0, maxSeeds - characters.size)),
  ];
  const logSum = Math.log(seeds.reduce((sum, { score }) => sum + score, 0));
  return {
    pieces: seeds.map(({ piece }) => piece),
    scores: Float64Array.from(seeds, ({ score }) => Math.log(score) - logSum),
  };
}

/** All words in one row of symbols, with the weight and the place of each symbol that may begin a piece. */
function layWords(
  words: ReadonlyMap<string, number>,
  characters: ReadonlyMap<string, number>,
): { symbols: Int32Array; weights: Float64Array; positions: Int32Array } {
  let units = 0;
  for (const word of words.keys()) units += word.length + 1;
  const symbols = new Int32Array(units);
  const weights = new Float64Array(units);
  const positions = new Int32Array(units);
  const unknown = UNKNOWN.codePointAt(0)!;
  let length = 0;
  let count = 0;
  for (const [word, times] of words) {
    for (const character of word) {
      if (character === LAST_OF_LINE) continue;
      symbols[length] = characters.has(character) ? character.codePointAt(0)! : unknown;
      weights[length] = times;
      positions[count++] = length++;
    }
    symbols[length++] = word.endsWith(LAST_OF_LINE) ? END_OF_LINE : BEFORE_WORD;
  }
  return { symbols, weights, positions: positions.subarray(0, count) };
}

/** Multikey quicksort (Bentley & Sedgewick 1997) by at most `depth` symbols; no suffix is read beyond its word. */
export function sortSuffixes(positions: Int32Array, symbols: Int32Array, depth: number): void {
  const pending: [low: number, high: number, at: number][] = [[0, positions.length, 0]];
  for (let task = pending.pop(); task; task = pending.pop()) {
    const [low, high, at] = task;
    if (high - low < 2 || at >= depth) continue;
    const pivot = symbols[positions[(low + high) >>> 1]! + at]!;
    let less = low;
    let more = high;
    for (let i = low; i < more; ) {
      const position = positions[i]!;
      const symbol = symbols[position + at]!;
      if (symbol < pivot) {
        positions[i++] = positions[less]!;
        positions[less++] = position;
      } else if (symbol > pivot) {
        positions[i] = positions[--more]!;
        positions[more] = position;
      } else i++;
    }
    pending.push([low, less, at], [more, high, at]);
    if (pivot > BEFORE_WORD) pending.push([less, more, at + 1]);
  }
}

/** Every run of sorted suffixes that begin alike and then differ: where one begins, the length of what they share, and their weight together. */
function eachInterval(
  positions: Int32Array,
  symbols: Int32Array,
  weights: Float64Array,
  depth: number,
  visit: (start: number, length: number, weight: number) => void,
): void {
  // Open intervals, each inside of the one before: length shared, place of the first suffix, weight so far.
  const open: { length: number; start: number; weight: number }[] = [{ length: 0, start: 0, weight: 0 }];
  for (let i = 0; i < positions.length; i++) {
    const start = positions[i]!;
    const shared = i + 1 < positions.length ? sharedLength(start, positions[i + 1]!, symbols, depth) : 0;
    let closed = { length: Number.POSITIVE_INFINITY, start, weight: weights[start]! };
    while (open.at(-1)!.length > shared) {
      const top = open.pop()!;
      closed = { ...top, weight: top.weight + closed.weight };
      visit(closed.start, closed.length, closed.weight);
    }
    const top = open.at(-1)!;
    if (top.length === shared) top.weight += closed.weight;
    else open.push({ length: shared, start: closed.start, weight: closed.weight });
  }
}

function sharedLength(a: number, b: number, symbols: Int32Array, depth: number): number {
  let length = 0;
  while (length < depth && symbols[a + length] === symbols[b + length]) {
    if (symbols[a + length]! <= BEFORE_WORD) return length + 1;
    length++;
  }
  return length;
}

/** The words without their marks; a character that gets no piece is UNKNOWN. */
export function plainWords(
  words: ReadonlyMap<string, number>,
  characters: ReadonlyMap<string, number>,
): Map<string, number> {
  const plain = new Map<string, number>();
  for (const [word, count] of words) {
    let text = '';
    for (const character of word)
      if (character !== LAST_OF_LINE) text += characters.has(character) ? character : UNKNOWN;
    plain.set(text, (plain.get(text) ?? 0) + count);
  }
  return plain;
}
