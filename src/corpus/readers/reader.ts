/**
 * The contract of readers: bytes of a file, decompressed and in chunks, become documents one at a time. A reader holds one record, never
 * a file; what it cannot read it reports and skips.
 */

import type { ByteSource } from '../../tensor/source.ts';
import type { Document } from '../document.ts';

export type Chunks = AsyncIterable<Uint8Array>;

export interface InputFile {
  /** Path below the input folder, with `/`; the start of every document's id. */
  readonly name: string;
  /**
   * Decompressed bytes; the kind of compression is found by the file's first bytes. Throws where the stream is broken. With a context, damage to a
   * gzip file of one member per record is reported to it and costs the records it lies in.
   */
  chunks(records?: Pick<ReadContext, 'problem' | 'maximumRecordBytes'>): Chunks;
  /** The file as it is, for formats that are read by offset. */
  source(): ByteSource;
}

export interface ReadContext {
  /** Reports what was skipped and why; `kind` is what is counted. */
  problem(kind: string, message: string): void;
  /** A record of more bytes is skipped and reported. */
  readonly maximumRecordBytes: number;
  /** Unpacks gzip, zlib, zstd or brotli bytes that lie inside another file; throws when they would exceed `maximumBytes`. */
  inflate(kind: 'gzip' | 'deflate' | 'brotli' | 'zstd', bytes: Uint8Array, maximumBytes: number): Uint8Array;
  /** A small text file below the input folder, such as a LICENSE; undefined when it is not there. */
  nearby(name: string): string | undefined;
  /** Temporary storage: append to numbered buckets, then read each once. For what arrives in the wrong order. */
  scratch(): Scratch;
}

export interface Scratch {
  append(bucket: number, bytes: Uint8Array): void;
  read(bucket: number): Uint8Array;
  /** Gives the storage back. */
  remove(): void;
}

export type Reader = (file: InputFile, context: ReadContext) => AsyncIterable<Document>;

const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: false });
const lenient = new TextDecoder('utf-8');

/** UTF-8 → text. Broken sequences become U+FFFD and are reported once per record. */
export function decodeUtf8(bytes: Uint8Array, context: Pick<ReadContext, 'problem'>, where: string): string {
  try {
    return strict.decode(bytes);
  } catch {
    context.problem('invalid-utf8', `${where}: broken UTF-8 was replaced by U+FFFD`);
    return lenient.decode(bytes);
  }
}

const machineErrors = new Set(['EMFILE', 'ENFILE', 'ENOMEM', 'ENOSPC', 'EIO']);

/** Errors of the machine, or of the network that a file comes over: they say nothing of the file, and must not count as its damage. */
export function isOfTheMachine(error: unknown): boolean {
  const { code } = error as { code?: unknown };
  return typeof code === 'string' && (machineErrors.has(code) || /^(?:network|hub)\./.test(code));
}
