/** A tensor of PyTorch: any view of a storage, given by offset and strides. Rows that are contiguous are read in one go. */
import { assert } from '../../base/assert.ts';
import { type DType, dtypes } from '../../tensor/dtype.ts';
import type { ByteSource, TensorSource } from '../../tensor/source.ts';
import { columnCount } from '../../tensor/tensor.ts';
import { assertRows } from '../file-tensor.ts';
import type { PickleObject } from './pickle.ts';

export interface TorchStorage extends PickleObject {
  readonly pickled: 'storage';
  readonly dtype: DType;
  /** Numbers in it. */
  readonly count: number;
  /** null until the reader of the old format comes to its bytes. */
  place: { readonly source: ByteSource; readonly byteOffset: number } | null;
}

const WINDOW_BYTES = 1 << 20;

export class StridedTensor implements TensorSource, PickleObject {
  readonly pickled = 'tensor';
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  private readonly storage: TorchStorage;
  private readonly offset: number;
  private readonly strides: readonly number[];

  constructor(storage: TorchStorage, offset: number, shape: readonly number[], strides: readonly number[], name = '') {
    this.name = name;
    this.dtype = storage.dtype;
    this.shape = shape;
    this.storage = storage;
    this.offset = offset;
    this.strides = strides;
  }

  named(name: string): StridedTensor {
    return new StridedTensor(this.storage, this.offset, this.shape, this.strides, name);
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    if (target.length === 0) return;
    if (this.isContiguous()) this.read(target, this.offset + firstRow * columnCount(this.shape));
    else this.readStrided(target, firstRow, rows);
  }

  private isContiguous(): boolean {
    let expected = 1;
    for (let i = this.shape.length - 1; i >= 0; i--) {
      if (this.shape[i] !== 1 && this.strides[i] !== expected) return false;
      expected *= this.shape[i]!;
    }
    return true;
  }

  /** Element by element out of a window of the storage that moves along; the rows of a transposed view stride through all of it. */
  private readStrided(target: Uint8Array, firstRow: number, rows: number): void {
    const bytes = dtypes[this.dtype].blockBytes;
    const columns = columnCount(this.shape);
    const columnStride = this.strides.at(-1) ?? 1;
    const starts = Array.from({ length: rows }, (_, i) => this.rowStart(firstRow + i));
    const low = starts.reduce((least, start) => Math.min(least, start), Number.POSITIVE_INFINITY);
    const high = starts.reduce((most, start) => Math.max(most, start), 0) + (columns - 1) * columnStride + 1;
    const windowCount = Math.max(1, Math.floor(WINDOW_BYTES / bytes));
    const window = new Uint8Array(Math.min(high - low, windowCount) * bytes);
    for (let from = low; from < high; from += windowCount) {
      const to = Math.min(high, from + windowCount);
      this.read(window.subarray(0, (to - from) * bytes), from);
      starts.forEach((start, row) => {
        // the columns of this row that lie in the window
        const first = start >= from ? 0 : columnStride === 0 ? columns : Math.ceil((from - start) / columnStride);
        for (let column = first; column < columns; column++) {
          const at = start + column * columnStride;
          if (at >= to) break;
          const source = (at - from) * bytes;
          const place = (row * columns + column) * bytes;
          for (let b = 0; b < bytes; b++) target[place + b] = window[source + b]!;
        }
      });
    }
  }

  /** Index in the storage of the first number of a row. */
  private rowStart(row: number): number {
    let start = this.offset;
    for (let i = this.shape.length - 2; i >= 0; i--) {
      start += (row % this.shape[i]!) * this.strides[i]!;
      row = Math.floor(row / this.shape[i]!);
    }
    return start;
  }

  private read(target: Uint8Array, firstNumber: number): void {
    const { place } = this.storage;
    assert(place !== null, `${this.name}: its storage has no place yet`);
    place.source.readInto(target, place.byteOffset + firstNumber * dtypes[this.dtype].blockBytes);
  }
}
