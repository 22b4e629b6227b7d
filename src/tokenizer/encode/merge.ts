/**
 * The greedy loop of byte-pair encoding: of all neighbouring pairs that merge, merge the one of lowest rank, the leftmost
 * of equals; repeat. Sennrich et al. 2016, arXiv:1508.07909 §3.2; ties as in sentencepiece (bpe_model.cc) and tiktoken.
 *
 * Two ways to the same answer: words of a few symbols rescan all pairs (n², no bookkeeping); longer ones use a heap of
 * (rank, place) over a linked list, n log n, so that a megabyte without a space encodes in seconds.
 */
import type { PairTable } from './pair-table.ts';

const SHORT = 24;

/** Symbols of one chunk. `start` holds where each begins in the chunk, so that unknown ones can be spelled out. */
export class Symbols {
  id = new Int32Array(64);
  start = new Int32Array(65);
  count = 0;

  reserve(count: number): void {
    if (count <= this.id.length) return;
    const size = Math.max(count, this.id.length * 2);
    const id = new Int32Array(size);
    const start = new Int32Array(size + 1);
    id.set(this.id.subarray(0, this.count));
    start.set(this.start.subarray(0, this.count));
    this.id = id;
    this.start = start;
  }

  push(id: number, start: number): void {
    if (this.count + 1 > this.id.length) this.reserve(this.count + 1);
    this.id[this.count] = id;
    this.start[this.count++] = start;
  }
}

/** Merges `symbols` in place until nothing more merges. Ids below zero never merge. */
export function mergeSymbols(symbols: Symbols, table: PairTable): void {
  if (symbols.count <= SHORT) mergeByScan(symbols, table);
  else mergeByHeap(symbols, table);
}

/** The obvious version, and the oracle of the other in the tests. Stops early once `stopAt` symbols are left. */
export function mergeByScan(symbols: Symbols, table: PairTable, stopAt = 1): void {
  const { id, start } = symbols;
  while (symbols.count > stopAt) {
    let best = -1;
    let bestRank = 0;
    for (let i = 0; i + 1 < symbols.count; i++) {
      const pair = table.find(id[i]!, id[i + 1]!);
      if (pair !== -1 && (best === -1 || table.rankAt(pair) < bestRank)) {
        best = i;
        bestRank = table.rankAt(pair);
      }
    }
    if (best === -1) return;
    id[best] = table.mergedAt(table.find(id[best]!, id[best + 1]!));
    symbols.count--;
    id.copyWithin(best + 1, best + 2, symbols.count + 1);
    start.copyWithin(best + 1, best + 2, symbols.count + 1);
  }
}

/** One merge: the pair at `at` became one symbol. */
export interface Merge {
  readonly at: number;
  readonly rank: number;
}

/** The merges of `symbols`, one after the other; `seen` is called after each, and may look at the symbols. */
export function mergeOneByOne(symbols: Symbols, table: PairTable, seen: (merge: Merge) => void): void {
  while (symbols.count > 1) {
    const before = symbols.id.slice(0, symbols.count);
    mergeByScan(symbols, table, symbols.count - 1);
    if (symbols.count === before.length) return;
    let at = 0;
    while (symbols.id[at] === before[at]) at++; // a merged symbol is never one of its halves
    seen({ at, rank: table.rankAt(table.find(before[at]!, before[at + 1]!)) });
  }
}

/** A place in the chunk and its pair's rank in one double, ordered by rank, then place: rank · 2³⁰ + place. */
const PLACES = 2 ** 30;

export function mergeByHeap(symbols: Symbols, table: PairTable): void {
  const { id, start, count } = symbols;
  const next = new Int32Array(count);
  const previous = new Int32Array(count);
  const alive = new Uint8Array(count).fill(1);
  const heap = new Heap(count);
  const offer = (left: number) => {
    const right = next[left]!;
    const pair = right < count ? table.find(id[left]!, id[right]!) : -1;
    if (pair !== -1) heap.push(table.rankAt(pair) * PLACES + left);
  };
  for (let i = 0; i < count; i++) {
    next[i] = i + 1;
    previous[i] = i - 1;
  }
  for (let i = 0; i + 1 < count; i++) offer(i);

  while (heap.size > 0) {
    const key = heap.pop();
    const left = key % PLACES;
    const rank = (key - left) / PLACES;
    const right = next[left]!;
    if (alive[left] === 0 || right >= count) continue;
    const pair = table.find(id[left]!, id[right]!);
    if (pair === -1 || table.rankAt(pair) !== rank) continue; // outdated: one of the two has merged since
    id[left] = table.mergedAt(pair);
    alive[right] = 0;
    next[left] = next[right]!;
    if (next[left]! < count) previous[next[left]!] = left;
    if (previous[left]! >= 0) offer(previous[left]!);
    offer(left);
  }

  let kept = 0;
  for (let i = 0; i < count; i = next[i]!) {
    id[kept] = id[i]!;
    start[kept++] = start[i]!;
  }
  symbols.count = kept;
}

/** A binary min-heap of doubles. */
class Heap {
  private keys: Float64Array;
  size = 0;

  constructor(capacity: number) {
    this.keys = new Float64Array(Math.max(16, capacity));
  }

  push(key: number): void {
    if (this.size === this.keys.length) {
      const grown = new Float64Array(this.size * 2);
      grown.set(this.keys);
      this.keys = grown;
    }
    const { keys } = this;
    let i = this.size++;
    while (i > 0) {
      const parent = (i - 1) >> 1;
      if (keys[parent]! <= key) break;
      keys[i] = keys[parent]!;
      i = parent;
    }
    keys[i] = key;
  }

  pop(): number {
    const { keys } = this;
    const top = keys[0]!;
    const last = keys[--this.size]!;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= this.size) break;
      if (child + 1 < this.size && keys[child + 1]! < keys[child]!) child++;
      if (keys[child]! >= last) break;
      keys[i] = keys[child]!;
      i = child;
    }
    keys[i] = last;
    return top;
  }
}
