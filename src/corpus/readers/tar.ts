/**
 * tar archives as a stream of members, one after the other: ustar, GNU long names, pax headers.
 *
 * A header of 512 bytes (name 0–99, size 124–135 octal, checksum 148–155, type 156, prefix 345–499), then the content, padded to 512.
 * Written here because members must be bounded and skipped on our terms, below layer 7, without Node streams.
 */
import { ByteQueue } from './byte-queue.ts';
import type { Chunks, ReadContext } from './reader.ts';

const BLOCK = 512;
const NAME_LIMIT = 64 * 1024;
const decoder = new TextDecoder();

export interface TarMember {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Regular files of an archive. Larger members than the record limit are skipped and reported, as is a cut archive. */
export async function* readTar(chunks: Chunks, archive: string, context: ReadContext): AsyncGenerator<TarMember> {
  const queue = new ByteQueue(chunks);
  let longName: string | undefined;
  for (;;) {
    const start = queue.position;
    const header = await queue.take(BLOCK);
    if (!header) return;
    if (header.every((byte) => byte === 0)) continue;
    if (!checksumMatches(header)) {
      context.problem(
        'broken-record',
        `${archive} @ byte ${start}: not a tar header; the rest of the archive was skipped`,
      );
      return;
    }
    const size = readSize(header.subarray(124, 136));
    const type = String.fromCharCode(header[156] || 48);
    const name = longName ?? memberName(header);
    longName = undefined;
    const isName = type === 'L' || type === 'x' || type === 'g';
    const limit = isName ? NAME_LIMIT : context.maximumRecordBytes;
    if (!(size >= 0 && size <= limit) || !(type === '0' || type === '7' || isName)) {
      if (size > limit)
        context.problem('record-too-large', `${archive}/${name}: ${size} bytes, skipped (limit ${limit})`);
      if (!(await queue.skip(padded(size)))) return;
      continue;
    }
    const bytes = await queue.take(size);
    if (!bytes) {
      context.problem('truncated', `${archive}: the archive ends inside ${name}`);
      return;
    }
    await queue.skip(padded(size) - size);
    if (type === 'L') longName = decoder.decode(bytes).replace(/\0.*$/s, '');
    else if (type === 'x') longName = paxPath(bytes);
    else if (type !== 'g') yield { name, bytes };
  }
}

function padded(size: number): number {
  return Math.ceil(Math.max(0, size) / BLOCK) * BLOCK;
}

/** Octal text, or base-256 with the top bit set. */
function readSize(field: Uint8Array): number {
  if (field[0]! & 0x80) return field.subarray(1).reduce((value, byte) => value * 256 + byte, 0);
  return Number.parseInt(decoder.decode(field).replace(/[\0 ].*$/s, '') || '0', 8);
}

function memberName(header: Uint8Array): string {
  const field = (from: number, to: number) => decoder.decode(header.subarray(from, to)).replace(/\0.*$/s, '');
  const prefix = decoder.decode(header.subarray(257, 262)) === 'ustar' ? field(345, 500) : '';
  return prefix === '' ? field(0, 100) : `${prefix}/${field(0, 100)}`;
}

function paxPath(bytes: Uint8Array): string | undefined {
  return /^\d+ path=(.*)$/m.exec(decoder.decode(bytes))?.[1];
}

function checksumMatches(header: Uint8Array): boolean {
  const stored = Number.parseInt(
    decoder
      .decode(header.subarray(148, 156))
      .replace(/[\0 ]+$/g, '')
      .trim(),
    8,
  );
  let sum = 0;
  for (let i = 0; i < BLOCK; i++) sum += i >= 148 && i < 156 ? 32 : header[i]!;
  return sum === stored;
}
