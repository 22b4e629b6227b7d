/** A tensor whose rows lie one after the other in a file: safetensors, GGUF, llama2.c. */
import { assert } from '../base/assert.ts';
import { type DType, rowBytes } from '../tensor/dtype.ts';
import type { ByteSource, TensorSource } from '../tensor/source.ts';
import { columnCount, elementCount, rowCount } from '../tensor/tensor.ts';

export class FileTensor implements TensorSource {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** Where its bytes lie in the file. */
  readonly byteOffset: number;
  readonly byteLength: number;
  readonly source: ByteSource;

  constructor(source: ByteSource, name: string, dtype: DType, shape: readonly number[], byteOffset: number) {
    this.source = source;
    this.name = name;
    this.dtype = dtype;
    this.shape = shape;
    this.byteOffset = byteOffset;
    this.byteLength = rowBytes(dtype, elementCount(shape));
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    this.source.readInto(target, this.byteOffset + firstRow * rowBytes(this.dtype, columnCount(this.shape)));
  }
}

/** The door of every readRows: the rows exist and exactly fill the target. */
export function assertRows(tensor: TensorSource, target: Uint8Array, firstRow: number, rows: number): void {
  const count = rowCount(tensor.shape);
  assert(
    firstRow >= 0 && rows >= 0 && firstRow + rows <= count,
    `${tensor.name}: rows ${firstRow}…${firstRow + rows} of ${count}`,
  );
  const bytes = rows * rowBytes(tensor.dtype, columnCount(tensor.shape));
  assert(target.length === bytes, `${tensor.name}: target holds ${target.length} bytes, ${rows} rows are ${bytes}`);
}

/** All the bytes of a small tensor. */
export function readTensor(tensor: TensorSource): Uint8Array<ArrayBuffer> {
  const rows = rowCount(tensor.shape);
  const bytes = new Uint8Array(rows * rowBytes(tensor.dtype, columnCount(tensor.shape)));
  tensor.readRows(bytes, 0, rows);
  return bytes;
}

/** Bytes of a tensor in its file. */
export function tensorBytes(tensor: Pick<TensorSource, 'dtype' | 'shape'>): number {
  return rowBytes(tensor.dtype, elementCount(tensor.shape));
}
