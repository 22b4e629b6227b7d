/**
 * Near-duplicate books: a book goes when more than a share of it lies in a larger book that is kept.
 *
 * A book is the set of its 8-word shingles; its sketch is those whose hash is divisible by a modulus, so that
 *   |sketch(A) ∩ sketch(B)| / |sketch(A)|  estimates  |A ∩ B| / |A|   (containment, without bias)
 * Books are looked at from the largest to the smallest, ties by id: the outcome does not depend on the order of files.
 *
 * Only shingles that two books hold can decide anything, and they are few: sketches are streamed, once for each slice of the hashes to see
 * which come twice, and of each book only its shared shingles are kept.
 *
 * Memory   one slice of the hashes (SLICE_HASHES), then 12 bytes per shared shingle of a book; a book's whole sketch is 1/64 of its words.
 * Source   LLaMA, arXiv:2302.13971 §2.1 ("more than 90 % content overlap"); Broder 1997; FracMinHash, Irber et al. 2022.
 */
import { comparedWords, wordHash } from './grams.ts';
import { HashMap64 } from './hash-set.ts';

const SHINGLE_WORDS = 8;
const MODULUS = 64;
/** A text with fewer sampled shingles than this is sketched whole. */
const MINIMUM_SKETCH = 64;

export interface Sketch {
  readonly id: string;
  /** Different shingles of the whole text. */
  readonly shingles: number;
  /** The sampled ones, each once: whole numbers under 2⁵³. */
  readonly hashes: ArrayLike<number>;
}

export function sketch(id: string, text: string): Sketch {
  const words = comparedWords(text);
  const hashes = words.map(wordHash);
  const all = new Set<number>();
  const count = Math.max(1, words.length - SHINGLE_WORDS + 1);
  for (let i = 0; i < count; i++) all.add(shingleHash(hashes, i, Math.min(words.length, i + SHINGLE_WORDS)));
  const sampled = [...all].filter((hash) => hash % MODULUS === 0);
  const chosen = sampled.length >= MINIMUM_SKETCH ? sampled : [...all];
  return { id, shingles: all.size, hashes: Float64Array.from(chosen).sort() };
}

export interface NearDuplicate {
  readonly id: string;
  readonly of: string;
  readonly overlap: number;
}

const SLICE_HASHES = 1 << 22;

/** Every sketch once, in the same order at each call. */
export type EachSketch = (visit: (sketch: Sketch) => void) => void;

/** Which texts go, and for which other text each. `sliceHashes`: hashes that are looked at together. */
export function findNearDuplicates(
  each: EachSketch,
  threshold: number,
  sliceHashes: number = SLICE_HASHES,
): NearDuplicate[] {
  const { books, sharedCount } = keepShared(each, sliceHashes);
  const order = [...books].sort((a, b) => b.shingles - a.shingles || (a.id < b.id ? -1 : 1));
  const holders = new Holders(
    sharedCount,
    books.reduce((sum, { shared }) => sum + shared.length, 0),
  );
  const inCommon = new Uint32Array(books.length);
  const kept: Book[] = [];
  const duplicates: NearDuplicate[] = [];
  for (const book of order) {
    const met: number[] = [];
    for (const hash of book.shared) {
      holders.each(hash, (other) => {
        if (inCommon[other]!++ === 0) met.push(other);
      });
    }
    let best = -1;
    let most = 0;
    for (const other of met) {
      const count = inCommon[other]!;
      if (count > most || (count === most && other < best)) [best, most] = [other, count];
      inCommon[other] = 0;
    }
    const overlap = most / book.sketched;
    if (overlap > threshold) {
      duplicates.push({ id: book.id, of: kept[best]!.id, overlap: Math.round(overlap * 1000) / 1000 });
      continue;
    }
    for (const hash of book.shared) holders.add(hash, kept.length);
    kept.push(book);
  }
  return duplicates;
}

interface Book {
  readonly id: string;
  readonly shingles: number;
  /** Hashes in its sketch. */
  readonly sketched: number;
  /** Numbers, from 0 on, of those that other books hold too. */
  readonly shared: Int32Array;
}

/** Books without the hashes that nobody else holds; shared hashes are numbered. */
function keepShared(each: EachSketch, sliceHashes: number): { books: Book[]; sharedCount: number } {
  let total = 0;
  const books: { id: string; shingles: number; sketched: number; parts: Int32Array[] }[] = [];
  each(({ id, shingles, hashes }) => {
    total += hashes.length;
    books.push({ id, shingles, sketched: hashes.length, parts: [] });
  });
  const sliceCount = Math.max(1, Math.ceil(total / sliceHashes));
  let sharedCount = 0;
  for (let slice = 0; slice < sliceCount; slice++) {
    // A table's value says how often a hash came (1, 2); shared ones are then numbered by their place in a second table.
    const counts = new HashMap64(Math.min(total, sliceHashes) * 1.1);
    eachInSlice(each, slice, sliceCount, (_, low, high) => counts.set(low, high, counts.get(low, high) === 0 ? 1 : 2));
    const numbers = new Map<number, number>();
    let found: number[] = [];
    let book = -1;
    const finish = () => {
      if (found.length > 0) books[book]!.parts.push(Int32Array.from(found));
      found = [];
    };
    eachInSlice(each, slice, sliceCount, (index, low, high) => {
      if (index !== book) finish();
      book = index;
      if (counts.get(low, high) < 2) return;
      const hash = high * 2 ** 32 + low;
      let number = numbers.get(hash);
      if (number === undefined) numbers.set(hash, (number = sharedCount++));
      found.push(number);
    });
    finish();
  }
  return {
    sharedCount,
    books: books.map(({ parts, ...book }) => ({ ...book, shared: joined(parts) })),
  };
}

function eachInSlice(
  each: EachSketch,
  slice: number,
  sliceCount: number,
  visit: (book: number, low: number, high: number) => void,
): void {
  let book = -1;
  each(({ hashes }) => {
    book++;
    for (let i = 0; i < hashes.length; i++) {
      const hash = hashes[i]!;
      const low = hash >>> 0;
      // Sampled hashes are multiples of MODULUS: slices go by what is left of them.
      if (Math.floor(hash / MODULUS) % sliceCount === slice) visit(book, low, (hash - low) / 2 ** 32);
    }
  });
}

function joined(parts: readonly Int32Array[]): Int32Array {
  const all = new Int32Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) all.set(part, (at += part.length) - part.length);
  return all;
}

/** hash number → books, as linked lists in plain numbers. */
class Holders {
  private readonly first: Int32Array;
  private readonly next: Int32Array;
  private readonly books: Int32Array;
  private count = 0;

  constructor(hashes: number, postings: number) {
    this.first = new Int32Array(hashes).fill(-1);
    this.next = new Int32Array(postings);
    this.books = new Int32Array(postings);
  }

  add(hash: number, book: number): void {
    this.books[this.count] = book;
    this.next[this.count] = this.first[hash]!;
    this.first[hash] = this.count++;
  }

  each(hash: number, visit: (book: number) => void): void {
    for (let at = this.first[hash]!; at >= 0; at = this.next[at]!) visit(this.books[at]!);
  }
}

/** 53 bits: two 32-bit mixes of the words' hashes. */
function shingleHash(words: readonly number[], from: number, to: number): number {
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (let i = from; i < to; i++) {
    low = Math.imul(low ^ words[i]!, 0x01000193) ^ (low >>> 15);
    high = Math.imul(high ^ words[i]!, 0x85ebca6b) ^ (high >>> 13);
  }
  low = Math.imul(low ^ (low >>> 16), 0x7feb352d);
  return (high >>> 11) * 2 ** 32 + ((low ^ (low >>> 15)) >>> 0);
}
