/**
 * Tensor sources made of tensor sources: rows in another order, and parts joined along an axis. They read as little as they
 * can, a head or a few rows at a time, so that a weight is never whole in memory twice.
 */
import { assert } from '../../../base/assert.ts';
import { assertRows } from '../../../formats/file-tensor.ts';
import { decodeRow } from '../../../quant/rows.ts';
import { type DType, dtypes, isWeightType, rowBytes } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { columnCount, rowCount } from '../../../tensor/tensor.ts';

/** Rotary pairs as neighbours (the papers, Meta, GGUF's llama), or the halves of a head apart (Hugging Face, GGUF's Qwen 2). */
export type RotaryLayout = 'pairs' | 'halves';

/**
 * The row, inside a head of E rows, that the other layout holds at row `r`: `pairs` row 2i + j is `halves` row j·E/2 + i.
 * Source  the permutation of transformers' convert_llama_weights_to_hf.py.
 */
export function rotaryRow(r: number, headSize: number, to: RotaryLayout): number {
  const half = headSize / 2;
  return to === 'pairs' ? (r % 2) * half + (r >> 1) : 2 * (r % half) + (r < half ? 0 : 1);
}

/** Rows first … first + count − 1 of another. */
export class RowRange implements TensorSource {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  private readonly inner: TensorSource;
  private readonly first: number;

  constructor(inner: TensorSource, name: string, first: number, count: number) {
    assert(inner.shape.length >= 2, `${inner.name}: rows of ${inner.shape.length} dimensions`);
    this.name = name;
    this.dtype = inner.dtype;
    this.shape = [count, columnCount(inner.shape)];
    this.inner = inner;
    this.first = first;
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    this.inner.readRows(target, this.first + firstRow, rows);
  }
}

/** A vector with a number added to each of its entries, in f32: gains that a file stores less one. */
export class ShiftedVector implements TensorSource {
  readonly name: string;
  readonly dtype = 'f32';
  readonly shape: readonly number[];
  private readonly inner: TensorSource;
  private readonly shift: number;

  constructor(inner: TensorSource, shift: number) {
    assert(inner.shape.length === 1, `${inner.name}: no vector`);
    this.name = inner.name;
    this.shape = inner.shape;
    this.inner = inner;
    this.shift = shift;
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    if (rows === 0) return;
    const { dtype, shape } = this.inner;
    assert(isWeightType(dtype), `${this.name}: ${dtype} holds no weights`);
    const stored = new Uint8Array(rowBytes(dtype, shape[0]!));
    this.inner.readRows(stored, 0, 1);
    const values = new Float32Array(shape[0]!);
    decodeRow(dtype, stored, values);
    for (let i = 0; i < values.length; i++) values[i]! += this.shift;
    target.set(new Uint8Array(values.buffer));
  }
}

/**
 * A query or key projection [heads·E, D], its bias [heads·E] or its norm [E], turned into the other rotary layout: of every head's
 * rows the first `rotated`.
 */
export class RotaryRows implements TensorSource {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  private readonly inner: TensorSource;
  private readonly headSize: number;
  private readonly rotated: number;
  private readonly to: RotaryLayout;

  constructor(inner: TensorSource, headSize: number, to: RotaryLayout, rotated = headSize) {
    assert(inner.shape.length === 2 || dtypes[inner.dtype].blockWeights === 1, `${inner.name}: a bias in blocks`);
    assert(rotated % 2 === 0 && inner.shape[0]! % headSize === 0, `${inner.name}: rows are no whole heads`);
    this.name = inner.name;
    this.dtype = inner.dtype;
    this.shape = inner.shape;
    this.inner = inner;
    this.headSize = headSize;
    this.rotated = rotated;
    this.to = to;
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    const E = this.headSize;
    if (this.shape.length === 1) {
      if (rows === 0) return;
      const bias = new Uint8Array(target.length);
      this.inner.readRows(bias, 0, 1);
      const itemBytes = target.length / this.shape[0]!;
      for (let head = 0; head < this.shape[0]!; head += E) this.place(target, 0, bias, 0, itemBytes, head, head + E);
      return;
    }
    const bytesPerRow = rowBytes(this.dtype, columnCount(this.shape));
    const scratch = new Uint8Array(E * bytesPerRow);
    const last = firstRow + rows;
    for (let head = firstRow - (firstRow % E); head < last; head += E) {
      this.inner.readRows(scratch, head, E);
      this.place(target, firstRow, scratch, head, bytesPerRow, Math.max(head, firstRow), Math.min(head + E, last));
    }
  }

  /** Rows from…to of one head, out of `source` (whose first row is `sourceFirst`) into `target` (whose first is `targetFirst`). */
  // biome-ignore format: one line of parameters
  private place(
    target: Uint8Array, targetFirst: number, source: Uint8Array, sourceFirst: number, bytes: number, from: number, to: number,
  ): void {
    for (let row = from; row < to; row++) {
      const head = row - (row % this.headSize);
      const own = row - head;
      const other = own < this.rotated ? rotaryRow(own, this.rotated, this.to) : own;
      const at = (head + other - sourceFirst) * bytes;
      target.set(source.subarray(at, at + bytes), (row - targetFirst) * bytes);
    }
  }
}

/** Parts one below the other: [n₁, D], [n₂, D] → [n₁ + n₂, D]. */
export class StackedRows implements TensorSource {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  private readonly parts: readonly TensorSource[];

  /** `shape`: of the whole, where it is not one matrix. */
  constructor(parts: readonly TensorSource[], shape?: readonly number[]) {
    const [first] = parts;
    assert(first !== undefined, 'StackedRows: no parts');
    this.name = first.name;
    this.dtype = first.dtype;
    this.shape = shape ?? [parts.reduce((sum, part) => sum + part.shape[0]!, 0), ...first.shape.slice(1)];
    this.parts = parts;
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    const bytesPerRow = rowBytes(this.dtype, columnCount(this.shape));
    let start = 0;
    for (const part of this.parts) {
      const end = start + rowCount(part.shape);
      const from = Math.max(start, firstRow);
      const to = Math.min(end, firstRow + rows);
      if (from < to) {
        const slice = target.subarray((from - firstRow) * bytesPerRow, (to - firstRow) * bytesPerRow);
        part.readRows(slice, from - start, to - from);
      }
      start = end;
    }
  }
}

/** Parts side by side: [N, d₁], [N, d₂] → [N, d₁ + d₂]. */
export class JoinedColumns implements TensorSource {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  private readonly parts: readonly TensorSource[];

  constructor(parts: readonly TensorSource[]) {
    const [first] = parts;
    assert(first !== undefined, 'JoinedColumns: no parts');
    this.name = first.name;
    this.dtype = first.dtype;
    this.shape = [first.shape[0]!, parts.reduce((sum, { shape }) => sum + shape[1]!, 0)];
    this.parts = parts;
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    const bytesPerRow = rowBytes(this.dtype, this.shape[1]!);
    let left = 0;
    for (const part of this.parts) {
      const width = rowBytes(part.dtype, part.shape[1]!);
      const scratch = new Uint8Array(rows * width);
      part.readRows(scratch, firstRow, rows);
      for (let row = 0; row < rows; row++) {
        target.set(scratch.subarray(row * width, (row + 1) * width), row * bytesPerRow + left);
      }
      left += width;
    }
  }
}
