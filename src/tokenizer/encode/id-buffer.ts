/** Token ids being written: a Uint32Array that grows. */
export class IdBuffer {
  private ids = new Uint32Array(64);
  length = 0;

  push(id: number): void {
    if (this.length === this.ids.length) this.reserve(1);
    this.ids[this.length++] = id;
  }

  /** Makes room for `count` more. */
  reserve(count: number): void {
    const wanted = this.length + count;
    if (wanted <= this.ids.length) return;
    const grown = new Uint32Array(Math.max(wanted, this.ids.length * 2));
    grown.set(this.ids.subarray(0, this.length));
    this.ids = grown;
  }

  /** Appends pool[from, from + count). */
  append(pool: Uint32Array, from: number, count: number): void {
    this.reserve(count);
    for (let i = 0; i < count; i++) this.ids[this.length + i] = pool[from + i]!;
    this.length += count;
  }

  /** The ids from `from` on, as a view that the next push may outdate. */
  since(from: number): Uint32Array {
    return this.ids.subarray(from, this.length);
  }

  /** A copy of all ids. */
  take(): Uint32Array {
    return this.ids.slice(0, this.length);
  }
}
