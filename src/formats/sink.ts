/** Where bytes go; layer 7 opens files and renames them when they are complete. */
import { rowBytes } from '../tensor/dtype.ts';
import type { TensorSource } from '../tensor/source.ts';
import { columnCount, rowCount } from '../tensor/tensor.ts';

export interface Sink {
  /** The bytes may be reused after the call. */
  write(bytes: Uint8Array): void;
}

const CHUNK_BYTES = 1 << 20;

/** Streams a tensor by rows, about a mebibyte at a time. */
export function writeTensor(sink: Sink, tensor: TensorSource): void {
  const rows = rowCount(tensor.shape);
  const bytesPerRow = rowBytes(tensor.dtype, columnCount(tensor.shape));
  if (rows * bytesPerRow === 0) return;
  const rowsPerChunk = Math.max(1, Math.min(rows, Math.floor(CHUNK_BYTES / bytesPerRow)));
  const chunk = new Uint8Array(rowsPerChunk * bytesPerRow);
  for (let row = 0; row < rows; row += rowsPerChunk) {
    const count = Math.min(rowsPerChunk, rows - row);
    const part = chunk.subarray(0, count * bytesPerRow);
    tensor.readRows(part, row, count);
    sink.write(part);
  }
}

/** Collects what is written: for tests, and for files that stay in memory. */
export class MemorySink implements Sink {
  private readonly parts: Uint8Array[] = [];

  write(bytes: Uint8Array): void {
    this.parts.push(bytes.slice());
  }

  close(): void {}

  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.parts.reduce((sum, { length }) => sum + length, 0));
    let at = 0;
    for (const part of this.parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }
}
