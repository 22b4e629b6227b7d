/**
 * Which two neighbouring symbols merge, into which symbol, and how early: an open-addressing hash table
 * (left, right) → (rank, merged). Lower rank merges first. A JS Map would need a string or a double per key; this is
 * one Int32Array, and a look-up is what the inner loop of encoding does.
 */
export class PairTable {
  /** Four numbers a slot: left, right, rank, merged. left = −1 marks an empty slot. */
  private slots: Int32Array;
  private mask: number;
  private count = 0;

  constructor(expectedCount: number) {
    let size = 16;
    while (size < expectedCount * 2) size *= 2;
    this.slots = new Int32Array(size * 4).fill(-1);
    this.mask = size - 1;
  }

  get size(): number {
    return this.count;
  }

  /** Adds a pair; the first rank of a pair stays. Returns whether it was new. */
  add(left: number, right: number, rank: number, merged: number): boolean {
    if (this.count * 2 > this.mask) this.grow();
    const at = this.place(left, right);
    if (this.slots[at] !== -1) return false;
    this.slots[at] = left;
    this.slots[at + 1] = right;
    this.slots[at + 2] = rank;
    this.slots[at + 3] = merged;
    this.count++;
    return true;
  }

  /** Where the pair is, for rankAt and mergedAt, or −1. */
  find(left: number, right: number): number {
    if (left < 0 || right < 0) return -1;
    const at = this.place(left, right);
    return this.slots[at] === -1 ? -1 : at;
  }

  rankAt(at: number): number {
    return this.slots[at + 2]!;
  }

  mergedAt(at: number): number {
    return this.slots[at + 3]!;
  }

  private place(left: number, right: number): number {
    const { slots, mask } = this;
    let hash = Math.imul(left, 0x9e3779b1) ^ Math.imul(right, 0x85ebca6b);
    hash ^= hash >>> 15;
    for (let i = hash & mask; ; i = (i + 1) & mask) {
      const at = i * 4;
      const found = slots[at]!;
      if (found === -1 || (found === left && slots[at + 1] === right)) return at;
    }
  }

  private grow(): void {
    const old = this.slots;
    this.slots = new Int32Array(old.length * 2).fill(-1);
    this.mask = this.slots.length / 4 - 1;
    for (let at = 0; at < old.length; at += 4) {
      if (old[at] !== -1) this.slots.set(old.subarray(at, at + 4), this.place(old[at]!, old[at + 1]!));
    }
  }
}
