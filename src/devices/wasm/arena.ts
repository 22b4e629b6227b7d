/**
 * A segment's memory for activations: places of many sizes, released by marks. Chunks that turn out to be neighbours become one, so
 * that steps of another shape do not leave holes.
 */

const GROWTH_BYTES = 4 * 2 ** 20;
const ALIGNMENT = 64;

interface Owner {
  allocate(byteCount: number, what: string): number;
}

export class Arena {
  private readonly segment: Owner;
  private readonly chunks: { readonly start: number; bytes: number }[] = [];
  private chunk = 0;
  private used = 0;

  constructor(segment: Owner) {
    this.segment = segment;
  }

  /** Bytes held. */
  get bytes(): number {
    return this.chunks.reduce((sum, { bytes }) => sum + bytes, 0);
  }

  /** A place for `byteCount` bytes, not cleared, aligned, with room to a multiple of 64 behind. */
  take(byteCount: number): number {
    const size = Math.ceil(Math.max(byteCount, 1) / ALIGNMENT) * ALIGNMENT;
    for (;;) {
      for (; this.chunk < this.chunks.length; this.chunk++, this.used = 0) {
        const chunk = this.chunks[this.chunk]!;
        if (this.used + size <= chunk.bytes) {
          this.used += size;
          return chunk.start + this.used - size;
        }
        if (this.chunk === this.chunks.length - 1) break;
      }
      this.grow(size);
    }
  }

  mark(): number {
    return this.chunk * 2 ** 33 + this.used;
  }

  release(mark: number): void {
    this.chunk = Math.floor(mark / 2 ** 33);
    this.used = mark % 2 ** 33;
  }

  /** At least `size` more bytes at the end: the last chunk becomes longer where its neighbour is free, else a new one is added. */
  private grow(size: number): void {
    const last = this.chunks.at(-1);
    const free = last && this.chunk === this.chunks.length - 1 ? last.bytes - this.used : 0;
    const bytes = Math.max(GROWTH_BYTES, size);
    const start = this.segment.allocate(bytes, 'the activations');
    if (last && last.start + last.bytes === start) {
      last.bytes += bytes;
      return;
    }
    this.chunks.push({ start, bytes });
    if (free < size) {
      this.chunk = this.chunks.length - 1;
      this.used = 0;
    }
  }
}
