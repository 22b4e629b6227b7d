/**
 * Every run of `length` neighbouring tokens of a text, as a 64-bit hash: two texts share a passage of at least so many tokens where they
 * share a hash. All hashes of a corpus, sorted in runs and merged, find what a suffix array over it finds, and need no memory for it.
 *
 * A token is a word, a sign, or a character of a script without spaces. Between them, white space does not count.
 *
 *   h = Σ_i w_i · b^(length − 1 − i)  mod 2³², twice, with other words' hashes w and another b
 *
 * Cost     a few multiplications a token, whatever the length (Karp and Rabin 1987)
 * Source   what is to be found: Lee et al. 2021, arXiv:2107.06499 §4.1 (exact substrings of 50 tokens)
 */

import { mixed } from './grams.ts';

const dense = String.raw`\p{sc=Han}\p{sc=Hiragana}\p{sc=Katakana}\p{sc=Thai}\p{sc=Lao}\p{sc=Khmer}\p{sc=Myanmar}`;
const tokenPattern = new RegExp(String.raw`[[\p{L}\p{N}\p{M}]--[${dense}]]+|[^\s]`, 'gv');

/** Where the tokens of a text begin and end. */
export interface TokenPlaces {
  readonly count: number;
  readonly starts: Uint32Array;
  readonly ends: Uint32Array;
}

export function tokenPlaces(text: string): TokenPlaces {
  const starts = new Uint32Array(text.length);
  const ends = new Uint32Array(text.length);
  let count = 0;
  tokenPattern.lastIndex = 0;
  for (let match = tokenPattern.exec(text); match !== null; match = tokenPattern.exec(text)) {
    starts[count] = match.index;
    ends[count++] = tokenPattern.lastIndex;
  }
  return { count, starts, ends };
}

// Odd numbers of no shape: the same letters in another order, or other words, must not meet.
const [LETTER_A, LETTER_B] = [0x01000193, 0x5bd1e995];
const [BASE_A, BASE_B] = [0x9e3779b1, 0x85ebca77];

/** Calls `visit` with the hash of the tokens `first` … `first + length − 1`, for every first token. */
export function eachWindow(
  text: string,
  { count, starts, ends }: TokenPlaces,
  length: number,
  visit: (low: number, high: number, first: number) => void,
): void {
  if (count < length) return;
  const wordsA = new Uint32Array(count);
  const wordsB = new Uint32Array(count);
  for (let i = 0; i < count; i++) {
    let a = 0x811c9dc5;
    let b = 0x2545f491;
    for (let at = starts[i]!; at < ends[i]!; at++) {
      const unit = text.charCodeAt(at);
      a = Math.imul(a ^ unit, LETTER_A);
      b = Math.imul(b + unit, LETTER_B);
      b ^= b >>> 15;
    }
    wordsA[i] = mixed(a);
    wordsB[i] = mixed(b ^ 0x6a09e667);
  }
  let [outA, outB] = [1, 1];
  for (let i = 1; i < length; i++) [outA, outB] = [Math.imul(outA, BASE_A), Math.imul(outB, BASE_B)];
  let a = 0;
  let b = 0;
  for (let i = 0; i < count; i++) {
    if (i >= length) {
      a = (a - Math.imul(wordsA[i - length]!, outA)) | 0;
      b = (b - Math.imul(wordsB[i - length]!, outB)) | 0;
    }
    a = (Math.imul(a, BASE_A) + wordsA[i]!) | 0;
    b = (Math.imul(b, BASE_B) + wordsB[i]!) | 0;
    if (i >= length - 1) visit(mixed(a), mixed(b), i - length + 1);
  }
}
