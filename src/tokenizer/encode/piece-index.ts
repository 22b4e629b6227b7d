/**
 * Finds symbols by a part of another piece's text without making a string for the part: an open-addressing table keyed by a
 * polynomial hash of UTF-16 units, which for a part comes from two prefix hashes. Working out how 128,000 pieces can be
 * joined from two others asks it a million times.
 */
const BASE = 0x01000193;

export class PieceIndex {
  private readonly texts: string[] = [];
  private readonly symbols: number[] = [];
  private slots: Int32Array;
  private hashes: Int32Array;
  /** Hash of the first n units of the current piece, and BASEⁿ. */
  private prefix = new Int32Array(64);
  private power = Int32Array.of(1);
  private current = '';

  constructor(expectedCount: number) {
    let size = 16;
    while (size < expectedCount * 2) size *= 2;
    this.slots = new Int32Array(size).fill(-1);
    this.hashes = new Int32Array(size);
  }

  add(text: string, symbol: number): void {
    if (this.texts.length * 2 >= this.slots.length) this.grow();
    this.focus(text);
    this.place(this.texts.length, this.prefix[text.length]!);
    this.texts.push(text);
    this.symbols.push(symbol);
  }

  /** Makes `text` the piece whose parts `find` looks up. */
  focus(text: string): void {
    if (text.length >= this.prefix.length) this.prefix = new Int32Array(text.length * 2);
    const { prefix } = this;
    let hash = 0;
    for (let i = 0; i < text.length; i++) {
      hash = (Math.imul(hash, BASE) + text.charCodeAt(i) + 1) | 0;
      prefix[i + 1] = hash;
    }
    while (this.power.length <= text.length) {
      const grown = new Int32Array(this.power.length * 2);
      grown.set(this.power);
      for (let i = this.power.length; i < grown.length; i++) grown[i] = Math.imul(grown[i - 1]!, BASE);
      this.power = grown;
    }
    this.current = text;
  }

  /** The symbol whose text is current[begin, end), or −1. */
  find(begin: number, end: number): number {
    const hash = (this.prefix[end]! - Math.imul(begin === 0 ? 0 : this.prefix[begin]!, this.power[end - begin]!)) | 0;
    const mask = this.slots.length - 1;
    for (let i = mix(hash) & mask; this.slots[i] !== -1; i = (i + 1) & mask) {
      if (this.hashes[i] === hash && this.isPart(this.texts[this.slots[i]!]!, begin, end))
        return this.symbols[this.slots[i]!]!;
    }
    return -1;
  }

  private isPart(text: string, begin: number, end: number): boolean {
    if (text.length !== end - begin) return false;
    for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) !== this.current.charCodeAt(begin + i)) return false;
    return true;
  }

  private place(entry: number, hash: number): void {
    const mask = this.slots.length - 1;
    let i = mix(hash) & mask;
    while (this.slots[i] !== -1) i = (i + 1) & mask;
    this.slots[i] = entry;
    this.hashes[i] = hash;
  }

  private grow(): void {
    const { slots, hashes } = this;
    this.slots = new Int32Array(slots.length * 2).fill(-1);
    this.hashes = new Int32Array(slots.length * 2);
    for (const [i, entry] of slots.entries()) if (entry !== -1) this.place(entry, hashes[i]!);
  }
}

function mix(hash: number): number {
  const mixed = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
  return mixed ^ (mixed >>> 13);
}
