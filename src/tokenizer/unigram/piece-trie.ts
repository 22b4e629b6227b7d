/** Pieces by their UTF-16 units: every piece that begins at a place of a text is found by walking on from there. Edges are in one hash table. */
export class PieceTrie {
  /** What each node ends: the number that its text was added with, or −1. */
  private ends = new Int32Array(1024).fill(-1);
  private nodeCount = 1;
  private from = new Int32Array(4096).fill(-1);
  private units = new Uint16Array(4096);
  private to = new Int32Array(4096);

  /** A text that is added twice keeps its first number. */
  add(text: string, number: number): void {
    let node = 0;
    for (let i = 0; i < text.length; i++) {
      const unit = text.charCodeAt(i);
      const next = this.next(node, unit);
      node = next >= 0 ? next : this.grow(node, unit);
    }
    if (this.ends[node] === -1) this.ends[node] = number;
  }

  /** The node after `unit`, or −1. The root is 0. */
  next(node: number, unit: number): number {
    const mask = this.from.length - 1;
    for (let slot = slotOf(node, unit) & mask; ; slot = (slot + 1) & mask) {
      const from = this.from[slot]!;
      if (from === -1) return -1;
      if (from === node && this.units[slot] === unit) return this.to[slot]!;
    }
  }

  /** The number of the text that ends at this node, or −1. */
  endAt(node: number): number {
    return this.ends[node]!;
  }

  private grow(node: number, unit: number): number {
    if (this.nodeCount * 2 > this.from.length) this.rehash();
    if (this.nodeCount === this.ends.length) {
      const ends = new Int32Array(this.ends.length * 2).fill(-1);
      ends.set(this.ends);
      this.ends = ends;
    }
    const made = this.nodeCount++;
    this.put(node, unit, made);
    return made;
  }

  private put(node: number, unit: number, to: number): void {
    const mask = this.from.length - 1;
    let slot = slotOf(node, unit) & mask;
    while (this.from[slot] !== -1) slot = (slot + 1) & mask;
    this.from[slot] = node;
    this.units[slot] = unit;
    this.to[slot] = to;
  }

  private rehash(): void {
    const { from, units, to } = this;
    this.from = new Int32Array(from.length * 2).fill(-1);
    this.units = new Uint16Array(from.length * 2);
    this.to = new Int32Array(from.length * 2);
    for (const [slot, node] of from.entries()) if (node !== -1) this.put(node, units[slot]!, to[slot]!);
  }
}

function slotOf(node: number, unit: number): number {
  const hash = Math.imul(node, 0x9e3779b1) ^ Math.imul(unit, 0x85ebca6b);
  return hash ^ (hash >>> 15);
}
