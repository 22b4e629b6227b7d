/**
 * The index of a unit's tokens: per document a 64-bit key that looks random (SHA-1 of seed and id), its length and its place. Sorted by
 * key, so that the documents of one output shard are one run of records, found by binary search.
 *
 *   record: u32 key high · u32 key low · u32 length · u32 place low · u32 place high        20 bytes, little-endian; lengths in tokens
 */

import type { ByteSource } from '../../tensor/source.ts';
import { sha1, sha1High, sha1Low } from '../dedup/sha1.ts';

const RECORD_WORDS = 5;
const encoder = new TextEncoder();

export interface IndexEntry {
  readonly keyHigh: number;
  readonly keyLow: number;
  readonly length: number;
  readonly place: number;
}

export function documentKey(seed: number, id: string): { keyHigh: number; keyLow: number } {
  sha1(encoder.encode(`${seed}\n${id}`));
  return { keyHigh: sha1High(), keyLow: sha1Low() };
}

export function encodeIndex(entries: IndexEntry[]): Uint8Array {
  entries.sort((a, b) => a.keyHigh - b.keyHigh || a.keyLow - b.keyLow);
  const words = new Uint32Array(entries.length * RECORD_WORDS);
  for (const [i, { keyHigh, keyLow, length, place }] of entries.entries()) {
    words.set([keyHigh, keyLow, length, place >>> 0, Math.floor(place / 2 ** 32)], i * RECORD_WORDS);
  }
  return new Uint8Array(words.buffer);
}

export class TokenIndex {
  readonly count: number;
  private readonly source: ByteSource;

  constructor(source: ByteSource) {
    this.source = source;
    this.count = source.byteLength / (RECORD_WORDS * 4);
  }

  /** Visits the documents whose high key word is in [from, below), in order of key. */
  each(from: number, below: number, visit: (entry: IndexEntry) => void): void {
    const block = new Uint32Array(RECORD_WORDS * 4096);
    for (let at = this.firstAtLeast(from); at < this.count; ) {
      const records = Math.min(4096, this.count - at);
      const words = block.subarray(0, records * RECORD_WORDS);
      this.source.readInto(new Uint8Array(words.buffer, 0, words.byteLength), at * RECORD_WORDS * 4);
      for (let i = 0; i < words.length; i += RECORD_WORDS) {
        if (words[i]! >= below) return;
        visit({
          keyHigh: words[i]!,
          keyLow: words[i + 1]!,
          length: words[i + 2]!,
          place: words[i + 3]! + words[i + 4]! * 2 ** 32,
        });
      }
      at += records;
    }
  }

  close(): void {
    this.source.close();
  }

  private firstAtLeast(from: number): number {
    const word = new Uint32Array(1);
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      this.source.readInto(new Uint8Array(word.buffer), middle * RECORD_WORDS * 4);
      if (word[0]! < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
