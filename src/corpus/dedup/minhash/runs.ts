/**
 * Bands of many texts out of core: every unit writes its bands sorted by hash, runs are merged by slices of the hashes, and texts that meet in a band become
 * an edge from the first of them.
 *
 *   run     u32 hash low · hash high · unit · text      16 bytes, ascending by hash, unit, text; text counts from 0 in the unit
 *   edges   u32 unit · text · unit · text               16 bytes
 */
import type { ByteSource } from '../../../tensor/source.ts';

const ENTRY_WORDS = 4;
const BLOCK_ENTRIES = 4096;

/** Sorts in memory: 16 bytes for each band of the unit's texts, and 8 for the order. */
export class BandRun {
  private words = new Uint32Array(ENTRY_WORDS * 1024);
  private count = 0;
  private readonly unit: number;

  constructor(unit: number) {
    this.unit = unit;
  }

  add(low: number, high: number, text: number): void {
    if ((this.count + 1) * ENTRY_WORDS > this.words.length) {
      const larger = new Uint32Array(this.words.length * 2);
      larger.set(this.words);
      this.words = larger;
    }
    const at = this.count++ * ENTRY_WORDS;
    this.words[at] = low;
    this.words[at + 1] = high;
    this.words[at + 2] = this.unit;
    this.words[at + 3] = text;
  }

  /** Texts were added in ascending order, which a stable sort keeps. */
  finish(write: (bytes: Uint8Array) => void): void {
    const { words } = this;
    const order = sortedByHigh(words, this.count);
    const output = new Entries(write);
    for (let first = 0; first < order.length; ) {
      const high = words[order[first]! + 1]!;
      let end = first + 1;
      while (end < order.length && words[order[end]! + 1] === high) end++;
      if (end - first > 1) sortByLow(order.subarray(first, end), words);
      for (; first < end; first++) {
        const at = order[first]!;
        output.push(words[at]!, words[at + 1]!, words[at + 2]!, words[at + 3]!);
      }
    }
    output.flush();
  }
}

/** Where each entry begins, ascending by the high word of its hash: two counting sorts by 16 bits, each stable. */
function sortedByHigh(words: Uint32Array, count: number): Uint32Array {
  let from = Uint32Array.from({ length: count }, (_, i) => i * ENTRY_WORDS);
  let to = new Uint32Array(count);
  for (const shift of [0, 16]) {
    const places = new Uint32Array((1 << 16) + 1);
    for (let i = 0; i < count; i++) places[((words[i * ENTRY_WORDS + 1]! >>> shift) & 0xffff) + 1]!++;
    for (let digit = 0; digit < 1 << 16; digit++) places[digit + 1]! += places[digit]!;
    for (const at of from) to[places[(words[at + 1]! >>> shift) & 0xffff]!++] = at;
    [from, to] = [to, from];
  }
  return from;
}

/** Stable. Entries with one high word have one low word, too, but for a few. */
function sortByLow(order: Uint32Array, words: Uint32Array): void {
  const first = words[order[0]!];
  if (order.every((at) => words[at] === first)) return;
  order.set([...order].sort((a, b) => words[a]! - words[b]!));
}

/** Many runs as one. */
export function gatherBands(runs: readonly ByteSource[], write: (bytes: Uint8Array) => void): void {
  const output = new Entries(write);
  merge(runs, 0, 2 ** 32, (entry) => output.push(entry.low, entry.high, entry.unit, entry.text));
  output.flush();
}

/** The texts that meet in a band of slice `slice` of `sliceCount`: an edge from the first to each other one. */
export function meetInBands(
  runs: readonly ByteSource[],
  { slice, sliceCount }: { slice: number; sliceCount: number },
  write: (bytes: Uint8Array) => void,
): void {
  const output = new Entries(write);
  let first = { low: 0, high: 0, unit: -1, text: -1 };
  const from = Math.ceil((slice * 2 ** 32) / sliceCount);
  const below = Math.ceil(((slice + 1) * 2 ** 32) / sliceCount);
  merge(runs, from, below, ({ low, high, unit, text }) => {
    if (first.unit < 0 || first.low !== low || first.high !== high) first = { low, high, unit, text };
    else if (first.unit !== unit || first.text !== text) output.push(first.unit, first.text, unit, text);
  });
  output.flush();
}

/** Four numbers a record, in blocks. */
class Entries {
  private readonly words = new Uint32Array(ENTRY_WORDS * BLOCK_ENTRIES);
  private filled = 0;
  private readonly write: (bytes: Uint8Array) => void;

  constructor(write: (bytes: Uint8Array) => void) {
    this.write = write;
  }

  push(a: number, b: number, c: number, d: number): void {
    this.words[this.filled++] = a;
    this.words[this.filled++] = b;
    this.words[this.filled++] = c;
    this.words[this.filled++] = d;
    if (this.filled === this.words.length) this.flush();
  }

  flush(): void {
    if (this.filled > 0) this.write(new Uint8Array(this.words.buffer.slice(0, this.filled * 4)));
    this.filled = 0;
  }
}

class Reader {
  low = 0;
  high = 0;
  unit = 0;
  text = 0;
  private readonly source: ByteSource;
  private readonly words = new Uint32Array(ENTRY_WORDS * BLOCK_ENTRIES);
  private readonly below: number;
  private position: number;
  private at = 0;
  private filled = 0;

  constructor(source: ByteSource, from: number, below: number) {
    this.source = source;
    this.below = below;
    this.position = this.firstAtLeast(from);
  }

  next(): boolean {
    if (this.at === this.filled) {
      const count = Math.min(BLOCK_ENTRIES, this.source.byteLength / 16 - this.position);
      if (count <= 0) return false;
      this.filled = count * ENTRY_WORDS;
      this.source.readInto(new Uint8Array(this.words.buffer, 0, count * 16), this.position * 16);
      this.position += count;
      this.at = 0;
    }
    this.low = this.words[this.at]!;
    this.high = this.words[this.at + 1]!;
    this.unit = this.words[this.at + 2]!;
    this.text = this.words[this.at + 3]!;
    this.at += ENTRY_WORDS;
    return this.high < this.below;
  }

  before(other: Reader): boolean {
    if (this.high !== other.high) return this.high < other.high;
    if (this.low !== other.low) return this.low < other.low;
    return this.unit !== other.unit ? this.unit < other.unit : this.text < other.text;
  }

  private firstAtLeast(from: number): number {
    const word = new Uint32Array(1);
    let low = 0;
    let high = this.source.byteLength / 16;
    while (low < high && from > 0) {
      const middle = Math.floor((low + high) / 2);
      this.source.readInto(new Uint8Array(word.buffer), middle * 16 + 4);
      if (word[0]! < from) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

/** Entries of all runs in order, hashes with a high word in [from, below). */
function merge(runs: readonly ByteSource[], from: number, below: number, visit: (entry: Reader) => void): void {
  const heap = runs.map((run) => new Reader(run, from, below)).filter((reader) => reader.next());
  const sink = (start: number): void => {
    for (let i = start; ; ) {
      let least = i;
      for (const child of [2 * i + 1, 2 * i + 2])
        if (child < heap.length && heap[child]!.before(heap[least]!)) least = child;
      if (least === i) return;
      [heap[i], heap[least]] = [heap[least]!, heap[i]!];
      i = least;
    }
  };
  for (let i = heap.length >> 1; i >= 0; i--) sink(i);
  while (heap.length > 0) {
    visit(heap[0]!);
    if (!heap[0]!.next()) {
      const last = heap.pop()!;
      if (heap.length > 0) heap[0] = last;
    }
    sink(0);
  }
}
