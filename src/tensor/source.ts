import type { DType } from './dtype.ts';

/**
 * Random access to bytes that lie elsewhere: a file, a Blob, an array. Synchronous, as every engine runs in a worker;
 * layer 7 makes them. Reading beyond the end throws FormatError `bytes.truncated`.
 */
export interface ByteSource {
  /** For error messages: a file name. */
  readonly name: string;
  readonly byteLength: number;
  /** Fills `target` with the bytes from `offset` on. `target` may lie in shared memory. */
  readInto(target: Uint8Array, offset: number): void;
  close(): void;
}

/** A folder, for checkpoints that are several files. Names have no path separators. */
export interface FileFolder {
  readonly name: string;
  list(): readonly string[];
  open(file: string): ByteSource;
}

/**
 * A tensor that still lies in its file, read by rows (all dimensions but the last, flattened), so that a weight is streamed
 * into its place. Row permutations, joins and splits are sources made of sources.
 */
export interface TensorSource {
  /** Its name in the file, for error messages. */
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Writes `rowCount` rows from `firstRow` on, in the stored dtype, one after the other. */
  readRows(target: Uint8Array, firstRow: number, rowCount: number): void;
}
