/** A set of u64 keys given as [low, high] words, each with one small number beside it. Open addressing, no objects. */
export class HashMap64 {
  private lows: Uint32Array;
  private highs: Uint32Array;
  private values: Uint8Array;
  private mask: number;
  size = 0;

  constructor(expected = 16) {
    let capacity = 16;
    while (capacity < expected * 1.6) capacity *= 2;
    this.lows = new Uint32Array(capacity);
    this.highs = new Uint32Array(capacity);
    this.values = new Uint8Array(capacity);
    this.mask = capacity - 1;
  }

  /** The value stored, or 0 for a key that is not there. */
  get(low: number, high: number): number {
    return this.values[this.slot(low, high)]!;
  }

  /** Stores 1…255. */
  set(low: number, high: number, value: number): void {
    if (this.size * 10 > this.lows.length * 7) this.grow();
    const slot = this.slot(low, high);
    if (this.values[slot] === 0) this.size++;
    this.lows[slot] = low;
    this.highs[slot] = high;
    this.values[slot] = value;
  }

  clear(): void {
    this.values.fill(0);
    this.size = 0;
  }

  private slot(low: number, high: number): number {
    let slot = (Math.imul(low ^ (high >>> 7), 0x9e3779b1) >>> 3) & this.mask;
    while (this.values[slot] !== 0 && (this.lows[slot] !== low || this.highs[slot] !== high))
      slot = (slot + 1) & this.mask;
    return slot;
  }

  private grow(): void {
    const { lows, highs, values } = this;
    const capacity = lows.length * 2;
    this.lows = new Uint32Array(capacity);
    this.highs = new Uint32Array(capacity);
    this.values = new Uint8Array(capacity);
    this.mask = capacity - 1;
    for (let i = 0; i < values.length; i++) {
      if (values[i] === 0) continue;
      const slot = this.slot(lows[i]!, highs[i]!);
      this.lows[slot] = lows[i]!;
      this.highs[slot] = highs[i]!;
      this.values[slot] = values[i]!;
    }
  }
}
