/**
 * The table of contents of a zip whose entries are stored uncompressed, as torch.save writes them: the bytes of an entry are read
 * in place. (Zip libraries inflate into memory; a checkpoint of many gigabytes must not be.)
 *
 *   entries (local header · bytes) … · central directory · [zip64 end · zip64 locator] · end record
 *
 * Source  PKWARE APPNOTE.TXT 4.3.7, 4.3.12, 4.3.14–4.3.16, 4.5.3.
 */
import { FormatError } from '../../base/errors.ts';
import type { ByteSource } from '../../tensor/source.ts';
import { Cursor } from '../cursor.ts';
import { show } from '../json.ts';

const END = { signature: 0x06054b50, bytes: 22, commentBytes: 65_535 } as const;
const LOCATOR = { signature: 0x07064b50, bytes: 20 } as const;
const END64 = { signature: 0x06064b50, bytes: 56 } as const;
const CENTRAL = { signature: 0x02014b50, bytes: 46 } as const;
const LOCAL = { signature: 0x04034b50, bytes: 30 } as const;
export const ZIP_MAGIC = LOCAL.signature;
const ENTRY_LIMIT = 1 << 18;
const IN_ZIP64 = 0xffffffff;

export interface ZipEntry {
  readonly name: string;
  readonly byteLength: number;
  /** Where its bytes start in the file. */
  readonly byteOffset: number;
}

/** All entries by name. Throws FormatError zip.* */
export function readZip(source: ByteSource): ReadonlyMap<string, ZipEntry> {
  const { count, offset, byteLength, end } = readEnd(source);
  if (!(offset + byteLength <= end)) {
    throw bad(
      source,
      'directory',
      `byte ${end}`,
      `expected the directory to end by byte ${end}, found ${byteLength} bytes at ${offset}`,
    );
  }
  const most = Math.min(ENTRY_LIMIT, Math.floor(byteLength / CENTRAL.bytes));
  if (!(count <= most)) throw bad(source, 'count', `byte ${end}`, `expected at most ${most} entries, found ${count}`);
  const entries = new Map<string, ZipEntry>();
  const cursor = new Cursor(source, offset, offset + byteLength);
  for (let i = 0; i < count; i++) {
    const entry = readEntry(cursor, offset);
    if (entries.has(entry.name))
      throw bad(source, 'duplicate', `entry ${show(entry.name)}`, 'it is in the directory twice');
    entries.set(entry.name, entry);
  }
  return entries;
}

interface Directory {
  readonly count: number;
  readonly offset: number;
  readonly byteLength: number;
  /** Where the directory must have ended. */
  readonly end: number;
}

function readEnd(source: ByteSource): Directory {
  const tailBytes = Math.min(source.byteLength, END.bytes + END.commentBytes);
  const tailAt = source.byteLength - tailBytes;
  const tail = new Uint8Array(tailBytes);
  source.readInto(tail, tailAt);
  const view = new DataView(tail.buffer);
  let at = tailBytes - END.bytes;
  while (
    at >= 0 &&
    !(view.getUint32(at, true) === END.signature && view.getUint16(at + 20, true) === tailBytes - at - END.bytes)
  )
    at--;
  if (at < 0) {
    throw bad(
      source,
      'no-end',
      `byte ${source.byteLength}`,
      'expected the end record of a zip, found none',
      'The file is truncated: compare its size with the size at its source.',
    );
  }
  const end = tailAt + at;
  const count = view.getUint16(at + 10, true);
  const byteLength = view.getUint32(at + 12, true);
  const offset = view.getUint32(at + 16, true);
  if (count === 0xffff || byteLength === IN_ZIP64 || offset === IN_ZIP64 || hasLocator(source, end))
    return readEnd64(source, end);
  return { count, offset, byteLength, end };
}

function hasLocator(source: ByteSource, end: number): boolean {
  return end >= LOCATOR.bytes + END64.bytes && new Cursor(source, end - LOCATOR.bytes).u32() === LOCATOR.signature;
}

function readEnd64(source: ByteSource, end: number): Directory {
  const locatorAt = end - LOCATOR.bytes;
  if (!hasLocator(source, end))
    throw bad(source, 'zip64', `byte ${end}`, 'expected a zip64 locator before the end record, found none');
  const locator = new Cursor(source, locatorAt + 8);
  const end64 = locator.u64();
  if (!(end64 + END64.bytes <= locatorAt)) {
    throw bad(
      source,
      'zip64',
      `byte ${locatorAt}`,
      `expected the zip64 end record before byte ${locatorAt}, found offset ${end64}`,
    );
  }
  const cursor = new Cursor(source, end64);
  if (cursor.u32() !== END64.signature)
    throw bad(source, 'zip64', `byte ${end64}`, 'expected a zip64 end record, found something else');
  cursor.skip(28);
  const count = cursor.u64();
  const byteLength = cursor.u64();
  return { count, byteLength, offset: cursor.u64(), end: end64 };
}

function readEntry(cursor: Cursor, dataEnd: number): ZipEntry {
  const { source } = cursor;
  const at = cursor.offset;
  if (cursor.u32() !== CENTRAL.signature)
    throw bad(source, 'directory', `byte ${at}`, 'expected a directory entry, found something else');
  cursor.skip(4);
  const flags = cursor.u16();
  const method = cursor.u16();
  cursor.skip(8);
  let packed = cursor.u32();
  let byteLength = cursor.u32();
  const nameBytes = cursor.u16();
  const extraBytes = cursor.u16();
  const commentBytes = cursor.u16();
  cursor.skip(8);
  let offset = cursor.u32();
  const name = cursor.text(nameBytes, 'the name of an entry');
  const where = `entry ${show(name)}`;
  const extraEnd = cursor.offset + extraBytes;
  while (cursor.offset + 4 <= extraEnd) {
    const id = cursor.u16();
    const fieldEnd = cursor.u16() + cursor.offset;
    if (id === 1) {
      // zip64: those of the three that did not fit, in this order
      if (byteLength === IN_ZIP64) byteLength = cursor.u64();
      if (packed === IN_ZIP64) packed = cursor.u64();
      if (offset === IN_ZIP64) offset = cursor.u64();
    }
    if (!(fieldEnd <= extraEnd && cursor.offset <= fieldEnd))
      throw bad(source, 'extra', where, 'its extra field is longer than it says');
    cursor.skip(fieldEnd - cursor.offset);
  }
  if (!(cursor.offset <= extraEnd)) throw bad(source, 'extra', where, 'its extra field is longer than it says');
  cursor.skip(extraEnd - cursor.offset + commentBytes);
  if (method !== 0 || packed !== byteLength || (flags & 1) !== 0) {
    throw bad(
      source,
      'compressed',
      where,
      `expected a stored entry, found one that is ${flags & 1 ? 'encrypted' : 'compressed'}`,
      'torch.save does not compress; unpack the file and save it again with torch.save.',
    );
  }
  const byteOffset = readDataOffset(source, offset, where);
  if (!(byteOffset + byteLength <= dataEnd)) {
    throw bad(
      source,
      'entry',
      where,
      `expected its ${byteLength} bytes to end by byte ${dataEnd}, found them at ${byteOffset}`,
    );
  }
  return { name, byteLength, byteOffset };
}

/** The bytes start after the local header, whose own name and extra field may differ in length from the directory's. */
function readDataOffset(source: ByteSource, offset: number, where: string): number {
  if (!(offset + LOCAL.bytes <= source.byteLength)) {
    throw bad(
      source,
      'entry',
      where,
      `expected it inside the ${source.byteLength} bytes of the file, found offset ${offset}`,
    );
  }
  const header = new Uint8Array(LOCAL.bytes);
  source.readInto(header, offset);
  const view = new DataView(header.buffer);
  if (view.getUint32(0, true) !== LOCAL.signature)
    throw bad(source, 'entry', where, `expected its header at byte ${offset}, found something else`);
  return offset + LOCAL.bytes + view.getUint16(26, true) + view.getUint16(28, true);
}

const damaged = 'The file is damaged; download it again.';

function bad(source: ByteSource, what: string, where: string, problem: string, advice: string = damaged): FormatError {
  return new FormatError({ code: `zip.${what}`, file: source.name, where }, problem, advice);
}
