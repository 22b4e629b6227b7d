/**
 * Streams weights from their files into packed panels: rows are read into a staging area of the segment, and the team packs them.
 *
 * How a matrix is kept and multiplied, by its file type and the device's `activations`:
 *   f32, f16, bf16   as they are, times f32 activations
 *   quantized        'int8': as they are (re-laid), times activations that are quantized to int8 in blocks of 32
 *                    'f32': decoded to f32 exactly, times f32 activations
 *                    'auto': as 'int8' from INT8_COLUMNS columns on, else as 'f32': small models then agree with the reference
 *                    to rounding, and their memory does not matter
 * Everything of rank 1 (norms, biases) is f32.
 */
import { assert } from '../../base/assert.ts';
import { FormatError, UnsupportedError } from '../../base/errors.ts';
import { pack } from '../../kernels/linear/pack.kernel.ts';
import { packedBytes } from '../../kernels/linear/packed-bytes.ts';
import { embed, unpackPanels } from '../../kernels/linear/unpack.kernel.ts';
import * as tasks from '../../kernels/tasks.ts';
import { gridNames, gridOf } from '../../quant/iq/grids.ts';
import { isTableType, levels, type TableType } from '../../quant/iq/levels.ts';
import { isWeightType, rowBytes, type WeightType } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { columnCount, formatShape, rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { Segment } from './segment.ts';
import type { Team } from './team.ts';
import { WasmExperts, WasmMatrix, WasmTensor } from './tensors.ts';

export type Activations = 'auto' | 'f32' | 'int8';

/** From this many columns on, 'auto' quantizes the activations that meet a quantized matrix. */
export const INT8_COLUMNS = 1024;

/** Rows are staged so many bytes at a time, in whole groups of either sort. */
const STAGE_BYTES = 2 * 2 ** 20;
const STAGE_ROWS = 8 * Math.max(tasks.FLOAT_GROUP_PANELS, tasks.QUANTIZED_GROUP_PANELS);

/** The kind in which a type is kept over int8 activations. */
export const packKinds = {
  f32: tasks.PACK_F32,
  f16: tasks.PACK_F16,
  bf16: tasks.PACK_BF16,
  Q8_0: tasks.PACK_Q8_0,
  Q4_0: tasks.PACK_Q4_0,
  Q4_1: tasks.PACK_Q4_1,
  Q5_0: tasks.PACK_Q5_0,
  Q5_1: tasks.PACK_Q5_1,
  Q2_K: tasks.PACK_Q2_K,
  Q3_K: tasks.PACK_Q3_K,
  Q4_K: tasks.PACK_Q4_K,
  Q5_K: tasks.PACK_Q5_K,
  Q6_K: tasks.PACK_Q6_K,
  IQ4_NL: tasks.PACK_TABLE_F16,
  IQ4_XS: tasks.PACK_TABLE,
  MXFP4: tasks.PACK_TABLE_BF16,
  IQ3_XXS: tasks.PACK_TABLE,
  IQ3_S: tasks.PACK_TABLE,
  IQ2_XXS: tasks.PACK_TABLE,
  IQ2_XS: tasks.PACK_TABLE_HALVES,
  IQ2_S: tasks.PACK_TABLE_HALVES,
  IQ1_S: tasks.PACK_TABLE,
  IQ1_M: tasks.PACK_TABLE_HALVES,
  TQ1_0: tasks.PACK_TABLE,
  TQ2_0: tasks.PACK_TABLE,
} as const satisfies Record<WeightType, number>;

export function isFloatKind(kind: number): boolean {
  return kind <= tasks.PACK_BF16;
}

export function groupPanels(kind: number): number {
  return isFloatKind(kind) ? tasks.FLOAT_GROUP_PANELS : tasks.QUANTIZED_GROUP_PANELS;
}

/** Panels of 8 rows that so many take up: whole groups. */
export function panelCount(kind: number, rows: number): number {
  const group = groupPanels(kind);
  return group * Math.ceil(rows / (8 * group));
}

/** The kind in which a matrix is kept. */
export function keptKind(dtype: WeightType, columns: number, activations: Activations): number {
  const kind = packKinds[dtype];
  if (isFloatKind(kind)) return kind;
  const isInt8 = activations === 'int8' || (activations === 'auto' && columns >= INT8_COLUMNS);
  return isInt8 ? kind : tasks.PACK_F32;
}

/** Bytes that a weight takes in memory, of any type and shape. */
export function keptBytes(dtype: WeightType, shape: readonly number[], activations: Activations = 'auto'): number {
  const columns = columnCount(shape);
  if (shape.length < 2) return columns * 4;
  const experts = shape.length === 3 ? shape[0]! : 1;
  return experts * packedBytes(keptKind(dtype, columns, activations), rowCount(shape) / experts, columns);
}

/** The same of a weight in a file; UnsupportedError for what is none. */
export function placedBytes(source: TensorSource, activations: Activations): number {
  return keptBytes(weightType(source), source.shape, activations);
}

function weightType(source: TensorSource): WeightType {
  if (!isWeightType(source.dtype)) {
    throw new UnsupportedError(
      'wasm.weight-type',
      `${source.name}: stored as ${source.dtype}, and weights can be f32, f16, bf16 or quantized. Convert the file.`,
    );
  }
  return source.dtype;
}

export function placeWeight(source: TensorSource, activations: Activations, segment: Segment, team: Team): Tensor {
  const dtype = weightType(source);
  const { name, shape } = source;
  const columns = columnCount(shape);
  const rows = rowCount(shape);
  const bytes = keptBytes(dtype, shape, activations);
  const pointer = segment.allocate(bytes, `${name} ${formatShape(shape)}`);
  segment.weightBytes += bytes;
  if (shape.length < 2) {
    const tensor = new WasmTensor(segment, pointer, [...shape]);
    readVector(source, dtype, tensor, team);
    return tensor;
  }
  const kind = keptKind(dtype, columns, activations);
  if (shape.length === 3) {
    const [X, O] = shape as [number, number];
    const experts = Array.from({ length: X }, (_, x) => {
      const at = pointer + (x * bytes) / X;
      readMatrix(expertOf(source, x), dtype, kind, O, columns, at, segment, team);
      return new WasmMatrix(dtype, [O, columns], segment, at, kind);
    });
    return new WasmExperts(dtype, shape, segment, experts);
  }
  readMatrix(source, dtype, kind, rows, columns, pointer, segment, team);
  return new WasmMatrix(dtype, shape, segment, pointer, kind);
}

/** One matrix of a stack. */
function expertOf(source: TensorSource, x: number): TensorSource {
  const [, O, I] = source.shape as [number, number, number];
  return {
    name: source.name,
    dtype: source.dtype,
    shape: [O, I],
    readRows: (target, first, rows) => source.readRows(target, x * O + first, rows),
  };
}

function readVector(source: TensorSource, dtype: WeightType, { segment, pointer }: WasmTensor, team: Team): void {
  const columns = columnCount(source.shape);
  if (dtype === 'f32') {
    source.readRows(segment.bytesAt(pointer, columns * 4), 0, 1);
    return;
  }
  const mark = segment.arena.mark();
  const packed = segment.arena.take(packedBytes(packKinds[dtype], 1, columns));
  const ids = segment.arena.take(4);
  readMatrix(source, dtype, packKinds[dtype], 1, columns, packed, segment, team);
  segment.setWord(ids, 0);
  team.perform(segment, embed[packKinds[dtype]]!, { packed, columns, out: pointer, ids }, 1, 1);
  segment.arena.release(mark);
}

function readMatrix(
  source: TensorSource,
  dtype: WeightType,
  kind: number,
  rows: number,
  columns: number,
  pointer: number,
  segment: Segment,
  team: Team,
): void {
  const mark = segment.arena.mark();
  const rawKind = packKinds[dtype];
  const rawRowBytes = rowBytes(dtype, columns);
  assert(
    Number.isInteger(rawRowBytes),
    `placeWeight: ${source.name}: rows of ${columns} do not fill blocks of ${dtype}`,
  );
  const rowsAtOnce = STAGE_ROWS * Math.max(1, Math.floor(STAGE_BYTES / (STAGE_ROWS * rawRowBytes)));
  const stage = segment.arena.take(Math.min(rows, rowsAtOnce) * rawRowBytes);
  const flag = segment.arena.take(4);
  const table = isTableType(dtype) ? placeTable(dtype, segment) : { levels: 0, grid: 0 };
  const decoded = kind === rawKind ? 0 : segment.arena.take(packedBytes(rawKind, Math.min(rows, rowsAtOnce), columns));
  segment.setWord(flag, 0);
  for (let first = 0; first < rows; first += rowsAtOnce) {
    const count = Math.min(rowsAtOnce, rows - first);
    const panels = panelCount(rawKind, count);
    const to = pointer + packedBytes(kind, first, columns);
    const chunk = Math.ceil(panels / (4 * team.size));
    source.readRows(segment.bytesAt(stage, count * rawRowBytes), first, count);
    const packed = kind === rawKind ? to : decoded;
    const values = { packed, raw: stage, rows: count, columns, rowBytes: rawRowBytes, flag, ...table };
    team.perform(segment, pack[dtype], values, panels, chunk);
    if (kind === rawKind) continue;
    team.perform(segment, unpackPanels[rawKind]!, { packed: decoded, columns, out: to }, panels, chunk);
  }
  if (segment.word(flag) !== 0) {
    throw new FormatError(
      { code: 'weights.not-finite', file: source.name, where: formatShape(source.shape) },
      'every weight must be finite, got an infinity or NaN',
      'The file is damaged, or the training run that made it diverged.',
    );
  }
  segment.arena.release(mark);
}

/** What the packing kernel needs beside the rows: the type's 16 levels, and its grid. In the arena. */
function placeTable(dtype: TableType, segment: Segment): { readonly levels: number; readonly grid: number } {
  const table = levels[dtype];
  const name = gridNames[dtype];
  const points = name === null ? new Uint8Array(0) : gridOf(name);
  const pointer = segment.arena.take(table.length + points.length);
  const bytes = segment.bytesAt(pointer, table.length + points.length);
  bytes.set(new Uint8Array(table.buffer));
  bytes.set(points, table.length);
  return { levels: pointer, grid: pointer + table.length };
}
