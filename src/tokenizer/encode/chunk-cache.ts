/**
 * Remembers the ids of short chunks (words), since a few thousand words make up most of any text. Ids lie in one pool;
 * when it or the map is full, both start afresh. A long key is copied flat first: a slice would keep its whole text alive.
 */
import type { IdBuffer } from './id-buffer.ts';

const MAX_CHUNKS = 1 << 16;
const POOL_IDS = 1 << 19;
/** V8 copies slices shorter than this and points into the parent for longer ones. */
const SLICE_LENGTH = 13;
/** Longer chunks are rare; they are encoded each time. At most three ids per UTF-16 unit, so the count fits below 256. */
const MAX_LENGTH = 40;
const COUNT_BITS = 256;

export class ChunkCache {
  private readonly places = new Map<string, number>();
  private readonly pool = new Uint32Array(POOL_IDS);
  private used = 0;

  /** Appends the remembered ids of `chunk`, if any. */
  appendTo(out: IdBuffer, chunk: string): boolean {
    const place = this.places.get(chunk);
    if (place === undefined) return false;
    out.append(this.pool, Math.floor(place / COUNT_BITS), place % COUNT_BITS);
    return true;
  }

  remember(chunk: string, ids: Uint32Array): void {
    if (chunk.length > MAX_LENGTH || ids.length >= COUNT_BITS) return;
    if (this.places.size === MAX_CHUNKS || this.used + ids.length > POOL_IDS) {
      this.places.clear();
      this.used = 0;
    }
    this.pool.set(ids, this.used);
    const key = chunk.length < SLICE_LENGTH ? chunk : Array.from(chunk).join('');
    this.places.set(key, this.used * COUNT_BITS + ids.length);
    this.used += ids.length;
  }
}
