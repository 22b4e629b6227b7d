/**
 * Duplicates out of core. Each unit of input writes one *run*: the sorted u64 hashes of its items, a hash that several of its documents
 * hold written twice, never more. Runs of a group are merged like sorted decks; memory is one block per run, 32 MB
 * for all of a group's, and a unit later loads only the duplicates among its own hashes.
 *
 *   collect   items → run            (RunCollector; spills sorted pieces and merges them at the end)
 *   merge     runs → duplicates      (mergeRuns; one slice of the hash space per call, so that slices run in parallel)
 *   remove    duplicates of a run → HashMap64
 *
 * More runs than one merge should open are merged as a tree, with the same outcome to the bit: some of them become one run (gatherRuns), those are
 * merged, and what was found for such a run is settled among its own runs (settleRuns).
 */
import type { ByteSource } from '../../tensor/source.ts';

/** Where the pieces of a run go until it is finished; layer 7 makes it from files. */
export interface RunStorage {
  /** Writes one sorted piece and returns a reader of it. */
  spill(bytes: Uint8Array): ByteSource;
  /** Appends to the finished run. */
  append(bytes: Uint8Array): void;
}

export class RunCollector {
  private readonly storage: RunStorage;
  private readonly hashes: BigUint64Array<ArrayBuffer>;
  private readonly words: Uint32Array;
  private count = 0;
  private readonly pieces: ByteSource[] = [];

  /** `capacity`: hashes held in memory before a piece is spilled. */
  constructor(storage: RunStorage, capacity: number) {
    this.storage = storage;
    this.hashes = new BigUint64Array(capacity);
    this.words = new Uint32Array(this.hashes.buffer);
  }

  add(low: number, high: number): void {
    if (this.count === this.hashes.length) this.pieces.push(this.storage.spill(this.takeSorted()));
    this.words[this.count * 2] = low;
    this.words[this.count * 2 + 1] = high;
    this.count++;
  }

  finish(): void {
    const last = this.takeSorted();
    if (this.pieces.length === 0) {
      this.storage.append(last);
      return;
    }
    if (last.length > 0) this.pieces.push(this.storage.spill(last));
    gatherRuns(this.pieces, (bytes) => this.storage.append(bytes));
    for (const piece of this.pieces) piece.close();
  }

  /** The hashes in memory as bytes, sorted, at most two copies of each; empties the memory. */
  private takeSorted(): Uint8Array {
    const { words } = this;
    this.hashes.subarray(0, this.count).sort();
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      const low = words[i * 2]!;
      const high = words[i * 2 + 1]!;
      if (kept >= 2 && words[kept * 2 - 4] === low && words[kept * 2 - 3] === high) {
        if (words[kept * 2 - 2] === low && words[kept * 2 - 1] === high) continue;
      }
      words[kept * 2] = low;
      words[kept * 2 + 1] = high;
      kept++;
    }
    this.count = 0;
    return new Uint8Array(this.hashes.buffer.slice(0, kept * 8));
  }
}

/** none: every copy goes, the first included (CCNet) · first: the first document that holds it keeps it. */
export type KeepPolicy = 'none' | 'first';

/** What a duplicate means for a unit: remove it wherever it stands, or keep its first appearance and remove the rest. */
export const REMOVE_ALL = 1;
export const KEEP_ONCE = 2;

/**
 * Finds the hashes that more than one document of the group holds, in slice `slice` of `sliceCount` of the hash space, and hands each run
 * its own: emit(run, low, high, REMOVE_ALL | KEEP_ONCE). Runs are in corpus order, so that "first" does not depend on who ran when.
 */
export function mergeRuns(
  runs: readonly ByteSource[],
  { keep, slice, sliceCount }: { keep: KeepPolicy; slice: number; sliceCount: number },
  emit: (run: number, low: number, high: number, action: number) => void,
): void {
  mergeSlice(runs, slice, sliceCount, (low, high, copies, holders, holderCount, firstCopies) => {
    if (copies < 2) return;
    for (let i = 0; i < holderCount; i++) {
      const isFirst = keep === 'first' && i === 0;
      if (isFirst && firstCopies < 2) continue; // one document in the first run holds it: it simply stays
      emit(holders[i]!, low, high, isFirst ? KEEP_ONCE : REMOVE_ALL);
    }
  });
}

/** Several runs as one: what a unit made of all their units would have written. */
export function gatherRuns(runs: readonly ByteSource[], append: (bytes: Uint8Array) => void): void {
  const output = new HashBuffer(append);
  mergeSlice(runs, 0, 1, (low, high, copies) => {
    output.push(low, high);
    if (copies > 1) output.push(low, high);
  });
  output.flush();
}

/** Hashes in ascending order, one at a time. */
export interface HashStream {
  readonly low: number;
  readonly high: number;
  /** Moves on; false at the end. It stands before the first hash until then. */
  next(): boolean;
}

/**
 * What a merge of gathered runs found for one of them, handed to the runs that it was gathered from: emit as in mergeRuns.
 * `removed`: hashes to remove everywhere in it; `kept`: those of which its first appearance stays.
 */
export function settleRuns(
  runs: readonly ByteSource[],
  verdicts: { readonly removed: HashStream; readonly kept: HashStream },
  { slice, sliceCount }: { slice: number; sliceCount: number },
  emit: (run: number, low: number, high: number, action: number) => void,
): void {
  const removed = new Follower(verdicts.removed);
  const kept = new Follower(verdicts.kept);
  mergeSlice(runs, slice, sliceCount, (low, high, _, holders, holderCount, firstCopies) => {
    const isRemoved = removed.has(low, high);
    if (!isRemoved && !kept.has(low, high)) return;
    for (let i = 0; i < holderCount; i++) {
      if (isRemoved || i > 0) emit(holders[i]!, low, high, REMOVE_ALL);
      else if (firstCopies > 1) emit(holders[i]!, low, high, KEEP_ONCE);
    }
  });
}

/** Asked for ascending hashes, says which of them a stream holds. */
class Follower {
  private readonly stream: HashStream;
  private open: boolean;

  constructor(stream: HashStream) {
    this.stream = stream;
    this.open = stream.next();
  }

  has(low: number, high: number): boolean {
    const { stream } = this;
    while (this.open && (stream.high < high || (stream.high === high && stream.low < low))) this.open = stream.next();
    return this.open && stream.high === high && stream.low === low;
  }
}

type MergeVisit = (
  low: number,
  high: number,
  copies: number,
  holders: Int32Array,
  holderCount: number,
  firstCopies: number,
) => void;

function mergeSlice(runs: readonly ByteSource[], slice: number, sliceCount: number, visit: MergeVisit): void {
  const from = Math.ceil((slice * 2 ** 32) / sliceCount);
  const below = slice + 1 === sliceCount ? 2 ** 32 : Math.ceil(((slice + 1) * 2 ** 32) / sliceCount);
  const block = Math.max(64, Math.min(BLOCK_HASHES, Math.floor(MERGE_HASHES / runs.length)));
  const readers = runs.map((run) => new RunReader(run, from, below, block));
  const heap = new ReaderHeap(readers);
  const holders = new Int32Array(runs.length);
  for (let top = heap.top(); top >= 0; top = heap.top()) {
    const { low, high } = readers[top]!;
    let copies = 0;
    let holderCount = 0;
    let firstCopies = 0;
    for (let run = top; run >= 0; run = heap.top()) {
      const reader = readers[run]!;
      if (reader.low !== low || reader.high !== high) break;
      if (holderCount === 0 || holders[holderCount - 1] !== run) holders[holderCount++] = run;
      if (holderCount === 1) firstCopies++;
      copies++;
      heap.advance();
    }
    visit(low, high, copies, holders, holderCount, firstCopies);
  }
}

const BLOCK_HASHES = 1 << 13;
/** Blocks of all runs of a merge together, whose number nobody bounds. */
const MERGE_HASHES = 1 << 22;

/** One sorted run, block by block, limited to high words in [from, below). */
class RunReader {
  low = 0;
  high = 0;
  private readonly source: ByteSource;
  private readonly below: number;
  private readonly words: Uint32Array<ArrayBuffer>;
  private position: number;
  private at = 0;
  private filled = 0;

  constructor(source: ByteSource, from: number, below: number, blockHashes: number) {
    this.words = new Uint32Array(blockHashes * 2);
    this.source = source;
    this.below = below;
    this.position = this.firstAtLeast(from);
  }

  /** Moves to the next hash; false at the end. */
  next(): boolean {
    if (this.at === this.filled) {
      this.filled = Math.min(this.words.length / 2, this.source.byteLength / 8 - this.position);
      if (this.filled <= 0) return false;
      this.source.readInto(new Uint8Array(this.words.buffer, 0, this.filled * 8), this.position * 8);
      this.position += this.filled;
      this.at = 0;
    }
    this.low = this.words[this.at * 2]!;
    this.high = this.words[this.at * 2 + 1]!;
    this.at++;
    return this.high < this.below;
  }

  private firstAtLeast(from: number): number {
    const word = new Uint32Array(1);
    const bytes = new Uint8Array(word.buffer);
    let low = 0;
    let high = this.source.byteLength / 8;
    if (from === 0) return 0;
    while (low < high) {
      const middle = Math.floor((low + high) / 2);
      this.source.readInto(bytes, middle * 8 + 4);
      if (word[0]! < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Binary heap of run numbers, ordered by the hash each stands at, then by run. */
class ReaderHeap {
  private readonly readers: readonly RunReader[];
  private readonly heap: number[] = [];

  constructor(readers: readonly RunReader[]) {
    this.readers = readers;
    for (const [run, reader] of readers.entries()) if (reader.next()) this.heap.push(run);
    for (let i = (this.heap.length >> 1) - 1; i >= 0; i--) this.sink(i);
  }

  top(): number {
    return this.heap[0] ?? -1;
  }

  advance(): void {
    const run = this.heap[0]!;
    if (!this.readers[run]!.next()) {
      const last = this.heap.pop()!;
      if (this.heap.length === 0) return;
      this.heap[0] = last;
    }
    this.sink(0);
  }

  private sink(i: number): void {
    const { heap } = this;
    for (;;) {
      let least = i;
      const left = 2 * i + 1;
      if (left < heap.length && this.before(heap[left]!, heap[least]!)) least = left;
      if (left + 1 < heap.length && this.before(heap[left + 1]!, heap[least]!)) least = left + 1;
      if (least === i) return;
      const swap = heap[i]!;
      heap[i] = heap[least]!;
      heap[least] = swap;
      i = least;
    }
  }

  private before(a: number, b: number): boolean {
    const x = this.readers[a]!;
    const y = this.readers[b]!;
    if (x.high !== y.high) return x.high < y.high;
    if (x.low !== y.low) return x.low < y.low;
    return a < b;
  }
}

/** Collects [low, high] pairs and hands them on as bytes in blocks. */
export class HashBuffer {
  private readonly words: Uint32Array<ArrayBuffer>;
  private count = 0;
  private readonly write: (bytes: Uint8Array) => void;

  constructor(write: (bytes: Uint8Array) => void, capacity = BLOCK_HASHES) {
    this.write = write;
    this.words = new Uint32Array(capacity * 2);
  }

  push(low: number, high: number): void {
    this.words[this.count * 2] = low;
    this.words[this.count * 2 + 1] = high;
    if (++this.count * 2 === this.words.length) this.flush();
  }

  flush(): void {
    if (this.count > 0) this.write(new Uint8Array(this.words.buffer.slice(0, this.count * 8)));
    this.count = 0;
  }
}
