import type { Chunks } from './reader.ts';

/** Chunks as one row of bytes that is consumed from the front; holds what was asked for and one chunk more. */
export class ByteQueue {
  private readonly chunks: AsyncIterator<Uint8Array>;
  private buffer = new Uint8Array(0);
  private from = 0;
  private ended = false;
  /** Bytes consumed so far: where the front is in the file. */
  position = 0;

  constructor(chunks: Chunks) {
    this.chunks = chunks[Symbol.asyncIterator]();
  }

  /** Bytes at hand without waiting. */
  get ready(): Uint8Array {
    return this.buffer.subarray(this.from);
  }

  /** Waits until `count` bytes are at hand; false when the input ends before. */
  async fill(count: number): Promise<boolean> {
    while (this.buffer.length - this.from < count) {
      if (!(await this.more())) return false;
    }
    return true;
  }

  /** Appends the next chunk; false at the end of the input. */
  async more(): Promise<boolean> {
    if (this.ended) return false;
    const { done, value } = await this.chunks.next();
    if (done) {
      this.ended = true;
      return false;
    }
    const rest = this.buffer.length - this.from;
    if (rest === 0) this.buffer = value as Uint8Array<ArrayBuffer>;
    else {
      const joined = new Uint8Array(rest + value.length);
      joined.set(this.buffer.subarray(this.from));
      joined.set(value, rest);
      this.buffer = joined;
    }
    this.from = 0;
    return true;
  }

  /** Puts bytes back in front. */
  pushBack(bytes: Uint8Array): void {
    const joined = new Uint8Array(bytes.length + this.ready.length);
    joined.set(bytes);
    joined.set(this.ready, bytes.length);
    this.buffer = joined;
    this.from = 0;
    this.position -= bytes.length;
  }

  consume(count: number): void {
    this.from += count;
    this.position += count;
  }

  /** Exactly `count` bytes, or undefined when the input ends before. The bytes are a copy. */
  async take(count: number): Promise<Uint8Array | undefined> {
    const result = new Uint8Array(count);
    let done = 0;
    while (done < count) {
      const ready = this.ready;
      if (ready.length === 0) {
        if (!(await this.more())) return undefined;
        continue;
      }
      const part = ready.subarray(0, count - done);
      result.set(part, done);
      this.consume(part.length);
      done += part.length;
    }
    return result;
  }

  /** Skips `count` bytes without holding them; false when the input ends before. */
  async skip(count: number): Promise<boolean> {
    while (count > 0) {
      const ready = this.ready;
      if (ready.length === 0) {
        if (!(await this.more())) return false;
        continue;
      }
      const part = Math.min(count, ready.length);
      this.consume(part);
      count -= part;
    }
    return true;
  }

  /**
   * Bytes up to the next `end` byte, which is consumed too; the rest of the input at its end; undefined when nothing is left.
   * A longer run than `limit` is skipped to its end and comes back as 'too-long'.
   */
  async until(end: number, limit: number): Promise<Uint8Array | 'too-long' | undefined> {
    const parts: Uint8Array[] = [];
    let length = 0;
    for (;;) {
      const ready = this.ready;
      if (ready.length === 0) {
        if (await this.more()) continue;
        if (length === 0) return undefined;
        return length > limit ? 'too-long' : join(parts, length);
      }
      const at = ready.indexOf(end);
      const part = at < 0 ? ready : ready.subarray(0, at);
      length += part.length;
      if (length <= limit) parts.push(part.slice());
      else parts.length = 0;
      this.consume(part.length + (at < 0 ? 0 : 1));
      if (at >= 0) return length > limit ? 'too-long' : join(parts, length);
    }
  }
}

function join(parts: readonly Uint8Array[], length: number): Uint8Array {
  if (parts.length === 1) return parts[0]!;
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Bytes as a stream of one chunk. */
export async function* oneChunk(bytes: Uint8Array): Chunks {
  yield bytes;
}
