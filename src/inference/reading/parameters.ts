/** The weights themselves, as numbers: rows of a parameter, decoded from its stored type. */
import { ArgumentError } from '../../base/errors.ts';
import { nearestNames } from '../../base/nearest.ts';
import { decodeRow } from '../../quant/rows.ts';
import { isWeightType, rowBytes } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { columnCount, rowCount } from '../../tensor/tensor.ts';

/** Bytes that are decoded at once while all rows are looked through. */
const CHUNK_BYTES = 1 << 22;

type Sources = ReadonlyMap<string, TensorSource>;

/** Rows [from, to) of a parameter (a vector is one row). Throws ArgumentError `parameters.name`, `parameters.rows`. */
export function parameterRows(sources: Sources, name: string, from: number, to: number): Float32Array {
  const source = find(sources, name);
  const rows = rowCount(source.shape);
  const isSound = Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= rows;
  if (!isSound) {
    throw new ArgumentError(
      'parameters.rows',
      `parameterRows: rows ${String(from)} to ${String(to)} of ${name}, expected whole numbers with 0 ≤ from ≤ to ≤ ${rows}.`,
    );
  }
  return decode(source, from, to);
}

export interface NearRow {
  readonly row: number;
  readonly cosine: number;
}

/** The rows of a matrix that point most nearly where row `row` points, best first, without itself; ties by number. */
export function nearestRows(sources: Sources, name: string, row: number, count: number): NearRow[] {
  const source = find(sources, name);
  const x_D = parameterRows(sources, name, row, row + 1);
  const D = columnCount(source.shape);
  const rows = rowCount(source.shape);
  const step = Math.max(1, Math.floor(CHUNK_BYTES / (D * 4)));
  const found: NearRow[] = [];
  const length = Math.sqrt(dot(x_D, x_D));
  for (let from = 0; from < rows; from += step) {
    const chunk = decode(source, from, Math.min(rows, from + step));
    for (let r = 0; r * D < chunk.length; r++) {
      if (from + r === row) continue;
      const other = chunk.subarray(r * D, (r + 1) * D);
      const product = dot(x_D, other);
      const scale = length * Math.sqrt(dot(other, other));
      found.push({ row: from + r, cosine: scale === 0 ? 0 : product / scale });
    }
  }
  found.sort((a, b) => b.cosine - a.cosine || a.row - b.row);
  return found.slice(0, count);
}

function dot(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function find(sources: Sources, name: string): TensorSource {
  const source = sources.get(name);
  if (source) return source;
  const near = nearestNames(String(name), [...sources.keys()]);
  throw new ArgumentError(
    'parameters.name',
    `parameterRows: ${JSON.stringify(name)} is no parameter of this model${near.length > 0 ? ` (near: ${near.join(', ')})` : ''}. \`cria inspect\` lists them.`,
  );
}

function decode(source: TensorSource, from: number, to: number): Float32Array {
  const { dtype, shape, name } = source;
  if (!isWeightType(dtype)) throw new ArgumentError('parameters.type', `parameterRows: ${name} is stored as ${dtype}.`);
  const columns = columnCount(shape);
  const bytes = new Uint8Array((to - from) * rowBytes(dtype, columns));
  source.readRows(bytes, from, to - from);
  const weights = new Float32Array((to - from) * columns);
  decodeRow(dtype, bytes, weights);
  return weights;
}
