/**
 * TensorBoard's event files: records of Event messages, as its protocol buffers have them.
 *
 *   record   length u64 · masked CRC-32C of it · the message · masked CRC-32C of it, little-endian
 *   Event    1: wall time (f64)   2: step (varint)   3: file version (text)   5: Summary of Values (1: tag, 2: f32)
 *
 * Source   tensorflow/core/lib/io/record_writer.h, tensorflow/core/util/event.proto, summary.proto
 */

/** What an event file begins with. */
export function firstEvent(wallSeconds: number): Uint8Array {
  return record([...wallTime(wallSeconds), ...field(3, new TextEncoder().encode('brain.Event:2'))]);
}

/** The numbers of one step. */
export function scalarEvent(
  wallSeconds: number,
  step: number,
  scalars: readonly (readonly [tag: string, value: number])[],
): Uint8Array {
  const values = scalars.flatMap(([tag, value]) => {
    const number = new Uint8Array(Float32Array.of(value).buffer);
    return field(1, [...field(1, new TextEncoder().encode(tag)), (2 << 3) | FIXED_32, ...number]);
  });
  return record([...wallTime(wallSeconds), (2 << 3) | VARINT, ...varint(step), ...field(5, values)]);
}

const VARINT = 0;
const FIXED_64 = 1;
const BYTES = 2;
const FIXED_32 = 5;

function wallTime(seconds: number): number[] {
  return [(1 << 3) | FIXED_64, ...new Uint8Array(Float64Array.of(seconds).buffer)];
}

function field(number: number, bytes: ArrayLike<number>): number[] {
  return [(number << 3) | BYTES, ...varint(bytes.length), ...Array.from(bytes)];
}

function varint(value: number): number[] {
  const bytes: number[] = [];
  for (; value >= 0x80; value = Math.floor(value / 0x80)) bytes.push((value % 0x80) | 0x80);
  return [...bytes, value];
}

function record(message: readonly number[]): Uint8Array {
  const data = Uint8Array.from(message);
  const bytes = new Uint8Array(8 + 4 + data.length + 4);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, BigInt(data.length), true);
  view.setUint32(8, maskedCrc(bytes.subarray(0, 8)), true);
  bytes.set(data, 12);
  view.setUint32(12 + data.length, maskedCrc(data), true);
  return bytes;
}

function maskedCrc(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + 0xa282ead8) >>> 0;
}

/** CRC-32C (Castagnoli), bit by bit: RFC 3720 appendix B.4. */
export function crc32c(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  return ~crc >>> 0;
}
