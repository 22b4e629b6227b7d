/**
 * Numbers for words that come again and again, found by a word's place in a text: no string is made of a word that is known.
 * Open addressing over the words' UTF-16 units; holds at most `limit` words and is emptied by its owner.
 */
const FNV_OFFSET = 0x811c9dc5 | 0;
const FNV_PRIME = 0x01000193;

/** One step of the words' hash, for owners that hash while they look for a word's end. */
export const WORD_HASH_START = FNV_OFFSET;
export function wordHashStep(hash: number, unit: number): number {
  return Math.imul(hash ^ unit, FNV_PRIME);
}

export class WordTable {
  readonly limit: number;
  count = 0;
  private readonly slots: Int32Array;
  private readonly hashes: Int32Array;
  /** Where each word begins in `units`, and the end of the last. */
  private readonly starts: Int32Array;
  private units = new Uint16Array(1 << 12);

  constructor(limit: number) {
    this.limit = limit;
    let capacity = 16;
    while (capacity < limit * 2) capacity *= 2;
    this.slots = new Int32Array(capacity).fill(-1);
    this.hashes = new Int32Array(limit);
    this.starts = new Int32Array(limit + 1);
  }

  /** The number of text[from, to), or −1. `hash`: wordHashStep over its units. */
  find(text: string, from: number, to: number, hash: number): number {
    const { slots, hashes } = this;
    const mask = slots.length - 1;
    for (let slot = mixed(hash) & mask; ; slot = (slot + 1) & mask) {
      const word = slots[slot]!;
      if (word < 0) return -1;
      if (hashes[word] === hash && this.equals(word, text, from, to)) return word;
    }
  }

  /** Gives the next number to a word that is not there yet; there must be room. */
  add(text: string, from: number, to: number, hash: number): number {
    const word = this.count++;
    const start = this.starts[word]!;
    const end = start + to - from;
    if (end > this.units.length) {
      const grown = new Uint16Array(Math.max(end, this.units.length * 2));
      grown.set(this.units);
      this.units = grown;
    }
    for (let i = from; i < to; i++) this.units[start + i - from] = text.charCodeAt(i);
    this.starts[word + 1] = end;
    this.hashes[word] = hash;
    const mask = this.slots.length - 1;
    let slot = mixed(hash) & mask;
    while (this.slots[slot]! >= 0) slot = (slot + 1) & mask;
    this.slots[slot] = word;
    return word;
  }

  clear(): void {
    this.slots.fill(-1);
    this.count = 0;
  }

  private equals(word: number, text: string, from: number, to: number): boolean {
    const { units } = this;
    const start = this.starts[word]!;
    if (this.starts[word + 1]! - start !== to - from) return false;
    for (let i = from, at = start; i < to; i++, at++) if (units[at] !== text.charCodeAt(i)) return false;
    return true;
  }
}

function mixed(hash: number): number {
  return hash ^ (hash >>> 15);
}
