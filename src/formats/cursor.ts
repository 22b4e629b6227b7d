/**
 * Reads a file front to back in windows, so that a header of unknown length is parsed without reading the file.
 * Every length is checked against the file before anything is allocated.
 */
import { FormatError } from '../base/errors.ts';
import type { ByteSource } from '../tensor/source.ts';
import { truncated } from './memory-source.ts';

const WINDOW_BYTES = 1 << 18;
const SHORT_TEXT_BYTES = 24;
const ASCII = Array.from({ length: 128 }, (_, code) => String.fromCharCode(code));
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

export class Cursor {
  readonly source: ByteSource;
  /** Bytes beyond this offset do not belong to what is read. */
  readonly end: number;
  private window: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  private view = new DataView(this.window.buffer);
  /** File offset of window[0]. */
  private start: number;
  /** Index of the next byte in the window. */
  private at = 0;

  constructor(source: ByteSource, offset = 0, end: number = source.byteLength) {
    this.source = source;
    this.start = offset;
    this.end = end;
  }

  get offset(): number {
    return this.start + this.at;
  }

  get bytesLeft(): number {
    return this.end - this.offset;
  }

  /** Makes `count` bytes available at the returned index of the window. */
  private take(count: number): number {
    if (this.at + count > this.window.length) this.refill(count);
    const index = this.at;
    this.at += count;
    return index;
  }

  private refill(count: number): void {
    const offset = this.offset;
    if (!(count <= this.end - offset)) throw truncated(this.source.name, offset, count, this.end);
    this.window = new Uint8Array(Math.min(Math.max(count, WINDOW_BYTES), this.end - offset));
    this.source.readInto(this.window, offset);
    this.view = new DataView(this.window.buffer);
    this.start = offset;
    this.at = 0;
  }

  u8(): number {
    const index = this.take(1);
    return this.window[index]!;
  }
  u16(): number {
    const index = this.take(2);
    return this.view.getUint16(index, true);
  }
  u32(): number {
    const index = this.take(4);
    return this.view.getUint32(index, true);
  }
  i32(): number {
    const index = this.take(4);
    return this.view.getInt32(index, true);
  }
  /** Infinity-free: a u64 beyond 2⁵³ comes back as the nearest f64, which is enough to see that it is too large. */
  u64(): number {
    const index = this.take(8);
    return this.view.getUint32(index, true) + this.view.getUint32(index + 4, true) * 4294967296;
  }
  bigU64(): bigint {
    const index = this.take(8);
    return this.view.getBigUint64(index, true);
  }
  bigI64(): bigint {
    const index = this.take(8);
    return this.view.getBigInt64(index, true);
  }
  f32(): number {
    const index = this.take(4);
    return this.view.getFloat32(index, true);
  }
  f64(): number {
    const index = this.take(8);
    return this.view.getFloat64(index, true);
  }
  f64BigEndian(): number {
    const index = this.take(8);
    return this.view.getFloat64(index, false);
  }

  /** A copy of the next bytes. */
  bytes(count: number): Uint8Array<ArrayBuffer> {
    if (!(count <= this.bytesLeft)) throw truncated(this.source.name, this.offset, count, this.end);
    if (count <= WINDOW_BYTES) {
      const index = this.take(count);
      return this.window.slice(index, index + count);
    }
    const copy = new Uint8Array(count);
    this.source.readInto(copy, this.offset);
    this.skip(count);
    return copy;
  }

  skip(count: number): void {
    if (!(count <= this.bytesLeft)) throw truncated(this.source.name, this.offset, count, this.end);
    this.at += count;
    if (this.at > this.window.length) {
      this.start += this.at;
      this.at = 0;
      this.window = new Uint8Array(0);
    }
  }

  text(byteCount: number, what: string): string {
    if (!(byteCount <= this.bytesLeft)) throw truncated(this.source.name, this.offset, byteCount, this.end);
    const index = this.take(byteCount);
    // Most pieces of a vocabulary are a few ASCII letters, which need no decoder.
    if (byteCount <= SHORT_TEXT_BYTES) {
      let text = '';
      let at = index;
      for (const end = index + byteCount; at < end && this.window[at]! < 0x80; at++) text += ASCII[this.window[at]!]!;
      if (at === index + byteCount) return text;
    }
    return decodeUtf8(this.window.subarray(index, index + byteCount), this.source.name, this.offset - byteCount, what);
  }
}

/** UTF-8 bytes → text; bytes that are none are refused, as nothing could write them back. */
export function decodeUtf8(bytes: Uint8Array, file: string, offset: number, what: string): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw new FormatError(
      { code: 'bytes.utf8', file, where: `byte ${offset}` },
      `expected ${what}, ${bytes.length} bytes, to be UTF-8 text, found bytes that are not`,
      'The file is damaged or is no file of this kind.',
    );
  }
}

/** A whole small file, such as a config.json; refused above `limitBytes`. */
export function readWhole(source: ByteSource, limitBytes: number): Uint8Array<ArrayBuffer> {
  if (!(source.byteLength <= limitBytes)) {
    throw new FormatError(
      { code: 'bytes.too-long', file: source.name, where: 'byte 0' },
      `expected at most ${limitBytes} bytes, found ${source.byteLength}`,
      'This is not the small file that its name promises.',
    );
  }
  const bytes = new Uint8Array(source.byteLength);
  source.readInto(bytes, 0);
  return bytes;
}

export function readText(source: ByteSource, limitBytes: number): string {
  return decodeUtf8(readWhole(source, limitBytes), source.name, 0, 'a file');
}
