/**
 * Remembers the ids of short chunks (words), since a few thousand words make up most of any text. Ids lie in one pool; when it or the table
 * is full, both start afresh. Chunks are given by their place in a text, so that a known one costs no string.
 */
import { WORD_HASH_START, WordTable, wordHashStep } from '../../base/word-table.ts';
import type { IdBuffer } from './id-buffer.ts';

const MAX_CHUNKS = 1 << 16;
const POOL_IDS = 1 << 19;
/** Longer chunks are rare; they are encoded each time. */
const MAX_LENGTH = 40;

export class ChunkCache {
  private readonly words = new WordTable(MAX_CHUNKS);
  /** Where each word's ids begin in the pool, and the end of the last. */
  private readonly starts = new Int32Array(MAX_CHUNKS + 1);
  private readonly pool = new Uint32Array(POOL_IDS);

  /** Appends the remembered ids of text[from, to), if any. */
  appendTo(out: IdBuffer, text: string, from: number, to: number): boolean {
    if (to - from > MAX_LENGTH) return false;
    const word = this.words.find(text, from, to, hashOf(text, from, to));
    if (word < 0) return false;
    const start = this.starts[word]!;
    out.append(this.pool, start, this.starts[word + 1]! - start);
    return true;
  }

  /** Remembers the ids of text[from, to), which it does not know yet. */
  remember(text: string, from: number, to: number, ids: Uint32Array): void {
    if (to - from > MAX_LENGTH) return;
    if (this.words.count === MAX_CHUNKS || this.starts[this.words.count]! + ids.length > POOL_IDS) this.words.clear();
    const word = this.words.add(text, from, to, hashOf(text, from, to));
    const start = this.starts[word]!;
    this.pool.set(ids, start);
    this.starts[word + 1] = start + ids.length;
  }
}

function hashOf(text: string, from: number, to: number): number {
  let hash = WORD_HASH_START;
  for (let i = from; i < to; i++) hash = wordHashStep(hash, text.charCodeAt(i));
  return hash;
}
