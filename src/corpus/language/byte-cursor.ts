import { FormatError } from '../../base/errors.ts';

const decoder = new TextDecoder();
const encoder = new TextEncoder();

/** Reads little-endian values one after the other and refuses to read, or to promise, more than the file holds. */
export class ByteCursor {
  private readonly view: DataView;
  private readonly all: Uint8Array;
  private readonly file: string;
  private readonly area: string;
  private at = 0;

  constructor(bytes: Uint8Array, file: string, area: string) {
    this.all = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.file = file;
    this.area = area;
  }

  fail(what: string, problem: string, advice: string): never {
    throw new FormatError({ code: `${this.area}.${what}`, file: this.file, where: `byte ${this.at}` }, problem, advice);
  }

  /** Fails unless `count` things of at least `size` bytes each can follow. */
  expect(count: number, size: number): void {
    const left = this.all.length - this.at;
    if (count >= 0 && count * size <= left) return;
    this.fail(
      'truncated',
      `expected ${count} × ${size} bytes, ${left} are left`,
      'The file is truncated or damaged; fetch it again.',
    );
  }

  u8(): number {
    this.expect(1, 1);
    return this.all[this.at++]!;
  }

  i32(): number {
    this.expect(1, 4);
    return this.view.getInt32((this.at += 4) - 4, true);
  }

  /** An i64 that must be a safe integer. */
  i64(): number {
    this.expect(1, 8);
    const value = Number(this.view.getBigInt64((this.at += 8) - 8, true));
    if (!Number.isSafeInteger(value))
      this.fail('number', `${value} is beyond every sensible count`, 'The file is damaged.');
    return value;
  }

  f64(): number {
    this.expect(1, 8);
    return this.view.getFloat64((this.at += 8) - 8, true);
  }

  f32s(count: number): Float32Array {
    this.expect(count, 4);
    return new Float32Array(this.bytes(count * 4).buffer);
  }

  /** A copy; not by slice(), which on a Node Buffer is a view. */
  bytes(count: number): Uint8Array<ArrayBuffer> {
    this.expect(count, 1);
    const copy = new Uint8Array(count);
    copy.set(this.all.subarray(this.at, (this.at += count)));
    return copy;
  }

  zeroTerminated(): string {
    const end = this.all.indexOf(0, this.at);
    if (end < 0)
      this.fail('truncated', 'a text without its closing zero', 'The file is truncated or damaged; fetch it again.');
    const text = decoder.decode(this.all.subarray(this.at, end));
    this.at = end + 1;
    return text;
  }
}

/** The writing side: grows as needed. */
export class ByteWriter {
  private bytes = new Uint8Array(1024);
  private view = new DataView(this.bytes.buffer);
  private at = 0;

  u8(value: number): void {
    this.room(1);
    this.bytes[this.at++] = value;
  }

  i32(value: number): void {
    this.room(4);
    this.view.setInt32((this.at += 4) - 4, value, true);
  }

  i64(value: number): void {
    this.room(8);
    this.view.setBigInt64((this.at += 8) - 8, BigInt(value), true);
  }

  f64(value: number): void {
    this.room(8);
    this.view.setFloat64((this.at += 8) - 8, value, true);
  }

  f32s(values: Float32Array): void {
    this.room(values.byteLength);
    this.bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), this.at);
    this.at += values.byteLength;
  }

  zeroTerminated(text: string): void {
    const encoded = encoder.encode(text);
    this.room(encoded.length + 1);
    this.bytes.set(encoded, this.at);
    this.at += encoded.length;
    this.bytes[this.at++] = 0;
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, this.at);
  }

  private room(count: number): void {
    if (this.at + count <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.at + count));
    larger.set(this.bytes);
    this.bytes = larger;
    this.view = new DataView(larger.buffer);
  }
}
