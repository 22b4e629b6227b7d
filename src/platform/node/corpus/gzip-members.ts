/**
 * Gzip files of one member per record, as `.warc.gz`, `.wet.gz` and `.arc.gz` are. Each member is unpacked and its checksum compared before anything of it
 * is handed on, so that damage costs the records it lies in: the next member that begins a record is found, and what was passed is reported.
 * Source: RFC 1952; ISO 28500 annex on compression ("record-at-a-time").
 */
import { crc32, inflateRawSync } from 'node:zlib';
import type { Chunks, ReadContext } from '../../../corpus/readers/reader.ts';
import type { ByteSource } from '../../../tensor/source.ts';

/** Read at a time; a member of more packed bytes is waited for by doubling, up to the limit. */
const WINDOW_BYTES = 1 << 20;
/** Small records are handed on together. */
const BATCH_BYTES = 1 << 18;
const HEADER_BYTES = 10;
const TRAILER_BYTES = 8;
const MAGIC = Buffer.from([0x1f, 0x8b, 8]);

type Member =
  | { readonly kind: 'whole'; readonly bytes: Uint8Array; readonly end: number }
  /** Its end lies beyond the window. */
  | { readonly kind: 'more' }
  | { readonly kind: 'broken'; readonly why: string };

/** True when the file's first member is a record of a crawl by itself, which ends within the first window. */
export function hasRecordMembers(source: ByteSource, maximumRecordBytes: number): boolean {
  const window = new Window(source);
  const first = window.member(0, maximumRecordBytes);
  return first.kind === 'whole' && first.end < source.byteLength && beginsRecord(first.bytes);
}

/** Unpacked members; `maximumBytes` of one. Closes the source. */
export async function* gzipMembers(source: ByteSource, problem: ReadContext['problem'], maximumBytes: number): Chunks {
  const { name, byteLength } = source;
  const window = new Window(source);
  let batch: Uint8Array[] = [];
  let batched = 0;
  const take = (): Uint8Array => {
    const joined = batch.length === 1 ? batch[0]! : Buffer.concat(batch);
    batch = [];
    batched = 0;
    return joined;
  };
  try {
    for (let at = 0; at < byteLength; ) {
      const member = window.wholeMember(at, maximumBytes);
      if (member.kind === 'whole') {
        batch.push(member.bytes);
        batched += member.bytes.length;
        at = member.end;
        if (batched >= BATCH_BYTES) yield take();
        continue;
      }
      if (batched > 0) yield take();
      const next = nextRecord(window, at + 1, byteLength, maximumBytes);
      const where = `${name} @ byte ${at} of the packed file`;
      const why = member.kind === 'more' ? 'the file ends inside a record' : member.why;
      if (next !== undefined)
        problem('broken-gzip', `${where}: ${why}; ${next - at} bytes to the next record were skipped`);
      else if (member.kind === 'more') problem('truncated', `${where}: ${why}, which was skipped`);
      else if (window.isMagic(at)) problem('broken-gzip', `${where}: ${why}; no record comes after it`);
      else problem('bytes-after-end', `${where}: ${byteLength - at} bytes after the last record are no gzip`);
      at = next ?? byteLength;
    }
    if (batched > 0) yield take();
  } finally {
    source.close();
  }
}

/** Where the next member lies that is whole and begins a record. */
function nextRecord(window: Window, from: number, end: number, maximumBytes: number): number | undefined {
  for (let at = window.nextMagic(from); at < end; at = window.nextMagic(at + 1)) {
    const member = window.wholeMember(at, maximumBytes);
    if (member.kind === 'whole' && beginsRecord(member.bytes)) return at;
  }
  return undefined;
}

/** `WARC/1.0`, or an ARC record's line: a URL, an address, a date of 14 digits. */
function beginsRecord(bytes: Uint8Array): boolean {
  const line = Buffer.from(bytes.buffer, bytes.byteOffset, Math.min(bytes.length, 2048)).toString('latin1');
  return line.startsWith('WARC/') || /^\n?[a-z][a-z0-9+.-]*:\S+ \S+ \d{8,14} [^\n]* \d+\r?\n/i.test(line);
}

/** A part of the file in memory, moved as it is asked for. */
class Window {
  private readonly source: ByteSource;
  private bytes = Buffer.alloc(0);
  private start = 0;

  constructor(source: ByteSource) {
    this.source = source;
  }

  isMagic(at: number): boolean {
    return this.from(at, MAGIC.length).subarray(0, MAGIC.length).equals(MAGIC);
  }

  /** The first place from `at` on where a member may begin, or the end of the file. */
  nextMagic(at: number): number {
    for (let from = at; from < this.source.byteLength; ) {
      const part = this.from(from, WINDOW_BYTES / 2);
      const found = part.indexOf(MAGIC);
      if (found >= 0) return from + found;
      from += Math.max(1, part.length - MAGIC.length + 1);
    }
    return this.source.byteLength;
  }

  /** The member at `at`, with as much of the file as it takes. */
  wholeMember(at: number, maximumBytes: number): Member {
    for (let wanted = WINDOW_BYTES / 2; ; wanted *= 2) {
      const member = this.member(at, maximumBytes, wanted);
      if (member.kind !== 'more' || at + wanted >= this.source.byteLength) return member;
      if (wanted > maximumBytes) return { kind: 'broken', why: `a record of more than ${wanted} packed bytes` };
    }
  }

  member(at: number, maximumBytes: number, wanted = WINDOW_BYTES): Member {
    const part = this.from(at, wanted);
    const header = headerLength(part);
    if (header === undefined) return { kind: 'broken', why: 'no gzip header' };
    if (header >= part.length) return { kind: 'more' };
    try {
      const { buffer, engine } = inflateRawSync(part.subarray(header), {
        info: true,
        maxOutputLength: maximumBytes,
      }) as unknown as { buffer: Buffer; engine: { bytesWritten: number } };
      const end = header + engine.bytesWritten;
      if (end + TRAILER_BYTES > part.length) return { kind: 'more' };
      if (part.readUInt32LE(end) !== crc32(buffer)) return { kind: 'broken', why: 'its checksum does not fit' };
      return { kind: 'whole', bytes: buffer, end: at + end + TRAILER_BYTES };
    } catch (error) {
      const { code, message } = error as NodeJS.ErrnoException;
      if (code === 'Z_BUF_ERROR') return { kind: 'more' };
      if (code === 'ERR_BUFFER_TOO_LARGE')
        return { kind: 'broken', why: `a record unfolds to more than ${maximumBytes} bytes` };
      return { kind: 'broken', why: message };
    }
  }

  /** At least `wanted` bytes from `at` on, fewer at the end of the file. */
  private from(at: number, wanted: number): Buffer {
    const end = Math.min(this.source.byteLength, at + wanted);
    if (at < this.start || end > this.start + this.bytes.length) {
      const length = Math.min(this.source.byteLength - at, Math.max(wanted, WINDOW_BYTES));
      this.bytes = Buffer.allocUnsafe(length);
      this.source.readInto(this.bytes, at);
      this.start = at;
    }
    return this.bytes.subarray(at - this.start);
  }
}

/** Bytes before the deflated data; the length of the bytes at hand when they end inside the header; undefined where none begins. */
function headerLength(bytes: Buffer): number | undefined {
  if (bytes.length < HEADER_BYTES)
    return MAGIC.subarray(0, bytes.length).equals(bytes.subarray(0, 3)) ? bytes.length : undefined;
  const flags = bytes[3]!;
  if (!bytes.subarray(0, 3).equals(MAGIC) || flags >= 0x20) return undefined;
  let at = HEADER_BYTES;
  if (flags & 4) at += 2 + (at + 2 <= bytes.length ? bytes.readUInt16LE(at) : 0);
  for (const zeroEnded of [8, 16]) {
    if (!(flags & zeroEnded)) continue;
    const end = bytes.indexOf(0, at);
    at = end < 0 ? bytes.length : end + 1;
  }
  if (flags & 2) at += 2;
  return at;
}
