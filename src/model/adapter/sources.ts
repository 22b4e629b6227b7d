/** Sources that are made of an adapter's parts: transposed, scaled, and a weight with its correction merged into it. */
import { assert } from '../../base/assert.ts';
import { assertRows, readTensor } from '../../formats/file-tensor.ts';
import { decodeRow } from '../../quant/rows.ts';
import { isWeightType, rowBytes } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { columnCount, rowCount } from '../../tensor/tensor.ts';
import { type LowRank, rankOf } from './adapter.ts';

/** All numbers of a tensor of any weight type. */
export function readFloats(source: TensorSource): Float32Array {
  const { dtype, shape, name } = source;
  assert(isWeightType(dtype), `${name}: ${dtype} holds no weights`);
  const out = new Float32Array(rowCount(shape) * columnCount(shape));
  decodeRow(dtype, readTensor(source), out);
  return out;
}

/** Numbers in memory as a source. */
export function floatSource(name: string, data: Float32Array, shape: readonly number[]): TensorSource {
  return {
    name,
    dtype: 'f32',
    shape,
    readRows(target, firstRow, rows) {
      assertRows(this, target, firstRow, rows);
      const columns = columnCount(shape);
      const part = data.subarray(firstRow * columns, (firstRow + rows) * columns);
      target.set(new Uint8Array(part.buffer, part.byteOffset, part.byteLength));
    },
  };
}

/** [R, V] → [V, R], as f32. */
export function transposed(source: TensorSource): TensorSource {
  const [rows, columns] = source.shape as readonly [number, number];
  const read = lazy(() => transpose(readFloats(source), rows, columns));
  return derived(source, [columns, rows], (out, first, count) =>
    out.set(read().subarray(first * rows, (first + count) * rows)),
  );
}

/** factor · x, as f32. */
export function scaled(source: TensorSource, factor: number): TensorSource {
  if (factor === 1) return source;
  const columns = columnCount(source.shape);
  const read = lazy(() => readFloats(source));
  return derived(source, source.shape, (out, first, count) => {
    const part = read().subarray(first * columns, (first + count) * columns);
    for (let i = 0; i < part.length; i++) out[i] = factor * part[i]!;
  });
}

/**
 * A weight with its correction merged in, row by row, as f32.
 *
 *   linear      row_o = W_o + s Σ_r B_or A_r        DoRA: then scaled by m_o / ‖row_o‖
 *   embedding   row_v = W_v + s Σ_r A_vr Bᵀ_r
 *
 * Numbers  sums in f64, rounded once.
 */
export function mergedRows(weight: TensorSource, use: 'linear' | 'embedding', layer: LowRank): TensorSource {
  const { dtype, shape } = weight;
  assert(isWeightType(dtype), `${weight.name}: ${dtype} holds no weights`);
  const columns = columnCount(shape);
  const rank = rankOf(layer);
  const parts = lazy(() => {
    const [a, b] = [readFloats(layer.a), readFloats(layer.b)];
    // Each row's factors, and the R rows that they multiply, one after the other.
    const [factors, basis] = use === 'linear' ? [b, a] : [a, transpose(b, columns, rank)];
    return { factors, basis, magnitude: layer.magnitude && readFloats(layer.magnitude) };
  });
  return derived(weight, shape, (out, first, count) => {
    const { factors, basis, magnitude } = parts();
    const stored = new Uint8Array(count * rowBytes(dtype, columns));
    weight.readRows(stored, first, count);
    decodeRow(dtype, stored, out);
    const row = new Float64Array(columns);
    for (let n = 0; n < count; n++) {
      for (let i = 0; i < columns; i++) row[i] = out[n * columns + i]!;
      for (let r = 0; r < rank; r++) {
        const factor = layer.scale * factors[(first + n) * rank + r]!;
        for (let i = 0; i < columns; i++) row[i]! += factor * basis[r * columns + i]!;
      }
      const length = magnitude ? magnitude[first + n]! / norm(row) : 1;
      for (let i = 0; i < columns; i++) out[n * columns + i] = row[i]! * length;
    }
  });
}

/** The length of each row of W + s · B · A: what DoRA divides by. */
export function rowNorms(weight: TensorSource, layer: LowRank): Float64Array {
  return lengthsOf(mergedRows(weight, 'linear', { ...layer, magnitude: null }));
}

/** The length of each row of a weight of any type. */
export function rowLengths(weight: TensorSource): Float64Array {
  const { dtype, shape } = weight;
  assert(isWeightType(dtype), `${weight.name}: ${dtype} holds no weights`);
  const columns = columnCount(shape);
  const stored = new Uint8Array(rowBytes(dtype, columns));
  const row = new Float32Array(columns);
  return Float64Array.from({ length: rowCount(shape) }, (_, o) => {
    weight.readRows(stored, o, 1);
    decodeRow(dtype, stored, row);
    return norm(row);
  });
}

function lengthsOf(plain: TensorSource): Float64Array {
  const columns = columnCount(plain.shape);
  const row = new Float32Array(columns);
  const bytes = new Uint8Array(row.buffer);
  return Float64Array.from({ length: rowCount(plain.shape) }, (_, o) => {
    plain.readRows(bytes, o, 1);
    return norm(row);
  });
}

function norm(row: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < row.length; i++) squares += row[i]! ** 2;
  return Math.sqrt(squares);
}

/** [rows, columns] → [columns, rows] */
function transpose(numbers: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(numbers, (_, i) => numbers[(i % rows) * columns + Math.floor(i / rows)]!);
}

function derived(
  { name }: TensorSource,
  shape: readonly number[],
  fill: (out: Float32Array, firstRow: number, rows: number) => void,
): TensorSource {
  return {
    name,
    dtype: 'f32',
    shape,
    readRows(target, firstRow, rows) {
      assertRows(this, target, firstRow, rows);
      const out = new Float32Array(rows * columnCount(shape));
      fill(out, firstRow, rows);
      target.set(new Uint8Array(out.buffer));
    },
  };
}

function lazy<T>(make: () => T): () => T {
  let made: { readonly value: T } | null = null;
  return () => (made ??= { value: make() }).value;
}
