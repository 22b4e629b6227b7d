/** What operations on f32 numbers of the home segment share, forward and backward: places, tasks and the matrix product. */

import type { AdamWStep } from '../../kernels/adamw/reference.ts';
import type { Gradient } from '../../kernels/backward-ops.ts';
import type { Dropout } from '../../kernels/dropout/reference.ts';
import type { BlasOperands } from '../../kernels/gemm/blas.ts';
import { gemm } from '../../kernels/gemm/kernel.ts';
import { taskNumber } from '../../kernels/kernels.ts';
import { ROUND_UNIT, TASK_ROUND_BF16 } from '../../kernels/tasks.ts';
import {
  BLOCK_COLUMNS,
  BLOCK_ROWS,
  CHUNK,
  EDGE_BYTES,
  PANEL_GROUP,
  SUM_CHUNK,
  TASK_ACCUMULATE,
  TASK_ADAMW,
  TASK_BLEND,
  TASK_COLUMN_SUMS,
  TASK_DROPOUT,
  TASK_GEMM_BLAS,
  TASK_GEMM_PACK,
  TASK_SUM_SQUARES,
  TILE_COLUMNS,
  TILE_ROWS,
} from '../../kernels/training-tasks.ts';
import type { ArgumentNumbers, Arguments, Task } from '../../kernels/writer/task.ts';
import { columnCount, elementCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { Moments } from '../device.ts';
import type { ActivationArena } from './activation-arena.ts';
import type { KernelExports } from './modules.ts';
import { inSegment, type OpContext } from './op-context.ts';
import type { Segment } from './segment.ts';
import type { Team } from './team.ts';
import { activation, floatsOf, type WasmTensor } from './tensors.ts';
import { dropoutNumbers } from './training-attention.ts';

/** Runs every task of a device that is being measured */
export type TaskWatch = (task: number, work: () => void) => void;

/** A matrix as the product sees it: rows × K numbers, `rowStride` and `kStride` floats apart; one of the two is 1. */
export interface Operand {
  readonly pointer: number;
  readonly rowStride: number;
  readonly kStride: number;
  /** The numbers are bf16 already. */
  readonly isRounded?: true;
}

/** The same numbers, read the other way. */
export function transposed(operand: Operand): Operand {
  return { ...operand, rowStride: operand.kStride, kStride: operand.rowStride };
}

/** Rows or columns below which a tile for a BLAS is not cut to give the threads several each; what all tiles are multiples of. */
const BLAS_TILE = 256;
const BLAS_UNIT = 32;

/** What a product of our own packs at a time; whole blocks of k and of columns (kernels/gemm), so that it changes no sum. */
const PACKED_DEPTH = 1024;
const PACKED_COLUMNS = 4096;

export class TrainingKernels {
  readonly segment: Segment;
  readonly exports: TrainingExports;
  readonly context: OpContext;
  private readonly arena: ActivationArena;
  private readonly team: Team;
  private readonly blas: BlasOperands | null;
  private readonly watch: TaskWatch | null;
  private edges = 0;

  constructor(context: OpContext, blas: BlasOperands | null, watch: TaskWatch | null) {
    this.context = context;
    this.segment = context.home;
    this.team = context.team;
    this.arena = context.arena;
    this.blas = blas;
    this.watch = watch;
    this.exports = this.segment.kernels as TrainingExports;
  }

  get threads(): number {
    return this.team.size;
  }

  mark(): number {
    return this.arena.mark();
  }
  release(mark: number): void {
    this.arena.release(mark);
  }
  /** A place for so many bytes, not cleared, until its mark is released. */
  take(bytes: number): number {
    return this.arena.scratch(this.segment, bytes).pointer;
  }
  scratch(shape: readonly number[]): WasmTensor {
    return this.arena.tensor(this.segment, shape);
  }
  doubles(count: number): WasmTensor {
    return this.arena.doubles(this.segment, count);
  }

  /** A tensor's place in the home segment: its own, or that of its copy. */
  at(tensor: Tensor): number {
    return inSegment(this.context, activation(tensor), this.segment).pointer;
  }

  view(tensor: Tensor): Float32Array {
    return floatsOf(inSegment(this.context, activation(tensor), this.segment));
  }

  /** Runs a task; arguments are whole numbers, or { f32 } for real ones. */
  run(task: number, units: number, chunk: number, ...values: readonly (number | { readonly f32: number })[]): void {
    values.forEach((value, i) => {
      if (typeof value === 'number') this.segment.ints[i] = value;
      else this.segment.floats[i] = value.f32;
    });
    this.runIn(this.segment, task, units, chunk);
  }

  /** Runs a task with its arguments, by name. */
  perform<A extends Arguments>(
    segment: Segment,
    task: Task<A>,
    values: ArgumentNumbers<A>,
    units: number,
    chunk: number,
  ): void {
    const work = () => this.team.perform(segment, task, values, units, chunk);
    if (this.watch) this.watch(taskNumber(task), work);
    else work();
  }

  /** Runs a task whose arguments are in the control area of its segment. */
  runIn(segment: Segment, task: number, units: number, chunk: number): void {
    if (this.watch) this.watch(task, () => this.team.run(segment, task, units, chunk));
    else this.team.run(segment, task, units, chunk);
  }

  /** C [M × N] (+)= A · Bᵀ, where B is given as its N rows of K numbers; rows of C are `cRow` floats apart. */
  gemm(c: number, M: number, N: number, K: number, a: Operand, b: Operand, add: boolean, cRow = N): void {
    if (M === 0 || N === 0) return;
    const mark = this.mark();
    if (this.blas === 'f32') {
      this.gemmByBlas(c, M, N, K, a, b, add, 4, cRow);
    } else if (this.blas === 'bf16') {
      this.gemmByBlas(c, M, N, K, this.roundBf16(a, M * K), this.roundBf16(b, N * K), add, 2, cRow);
    } else this.gemmByPanels(c, M, N, K, a, b, add, cRow);
    this.release(mark);
  }

  /** Packs PACKED_DEPTH steps of k at a time, and of those PACKED_COLUMNS columns, so that a large vocabulary is never packed whole. */
  private gemmByPanels(
    c: number,
    M: number,
    N: number,
    K: number,
    a: Operand,
    b: Operand,
    add: boolean,
    cRow: number,
  ): void {
    this.edges ||= this.segment.allocate(this.team.size * EDGE_BYTES, 'scratch');
    for (let k = 0; k < K; k += PACKED_DEPTH) {
      const depth = Math.min(PACKED_DEPTH, K - k);
      const mark = this.mark();
      const packedA = this.pack(a, 0, k, M, depth, TILE_ROWS);
      for (let n = 0; n < N; n += PACKED_COLUMNS) {
        const columns = Math.min(PACKED_COLUMNS, N - n);
        const inner = this.mark();
        const packedB = this.pack(b, n, k, columns, depth, TILE_COLUMNS);
        const units = Math.ceil(M / BLOCK_ROWS) * Math.ceil(columns / BLOCK_COLUMNS);
        const adds = add || k > 0 ? 1 : 0;
        const operands = { a: packedA, b: packedB, c: c + n * 4, cRow: cRow * 4, M, N: columns, K: depth, adds };
        const scratch = { scratch: this.edges, scratchBytes: EDGE_BYTES };
        this.perform(this.segment, gemm, { ...operands, ...scratch }, units, 1);
        this.release(inner);
      }
      this.release(mark);
    }
  }

  /** Tiles of all columns or of all rows: a BLAS packs its operands for every call, so they are few, and the longer side is cut. */
  private gemmByBlas(
    c: number,
    M: number,
    N: number,
    K: number,
    a: Operand,
    b: Operand,
    add: boolean,
    numberBytes: number,
    cRow: number,
  ): void {
    const isTall = M >= N;
    const length = Math.max(M, N);
    const parts = this.team.size * Math.max(1, Math.min(4, Math.floor(length / (BLAS_TILE * this.team.size))));
    const cut = this.team.size === 1 ? length : Math.ceil(length / parts / BLAS_UNIT) * BLAS_UNIT;
    const [rows, columns] = isTall ? [cut, N] : [M, cut];
    this.run(
      TASK_GEMM_BLAS,
      Math.ceil(length / cut),
      1,
      c,
      M,
      N,
      K,
      a.pointer,
      a.rowStride,
      a.kStride,
      b.pointer,
      b.rowStride,
      b.kStride,
      add ? 1 : 0,
      rows,
      columns,
      numberBytes,
      cRow,
    );
  }

  /** An operand of `count` numbers for several products: where they read bf16, it is rounded once. */
  shared(operand: Operand, count: number): Operand {
    return this.blas === 'bf16' ? this.roundBf16(operand, count) : operand;
  }

  private roundBf16(operand: Operand, count: number): Operand {
    if (operand.isRounded) return operand;
    const pointer = this.take(count * 2);
    this.run(TASK_ROUND_BF16, Math.ceil(count / ROUND_UNIT), 4, pointer, operand.pointer, count);
    return { ...operand, pointer, isRounded: true };
  }

  /** Panels of `width` rows of the part of an operand that begins at `row` and `k`. */
  private pack(
    { pointer, rowStride, kStride }: Operand,
    row: number,
    k: number,
    rows: number,
    K: number,
    width: number,
  ): number {
    const panels = Math.ceil(rows / width);
    const target = this.take(panels * width * K * 4);
    this.run(
      TASK_GEMM_PACK,
      Math.ceil(panels / PANEL_GROUP),
      1,
      pointer + (row * rowStride + k * kStride) * 4,
      target,
      rowStride * 4,
      kStride * 4,
      rows,
      K,
      width,
    );
    return target;
  }

  /** target ← factor · target + other · source */
  blend(to: Tensor, factor: number, source: Tensor, other: number): void {
    const count = elementCount(to.shape);
    this.run(TASK_BLEND, chunks(count), 4, pointerOf(to), this.at(source), count, { f32: factor }, { f32: other });
  }

  /** y (+)= dropout(x) */
  dropout(y: number, x: Tensor, options: Dropout, add: number): void {
    const [threshold, factor, key, firstToken] = dropoutNumbers(options);
    const columns = columnCount(x.shape);
    this.run(TASK_DROPOUT, rowCount(x.shape), 16, y, this.at(x), columns, key!, firstToken!, threshold!, factor!, add);
  }

  /** gradient (+)= the sums of the columns of `rows` rows at `source`. */
  columnSums(gradient: Gradient, source: number, rows: number, columns: number): void {
    const { pointer, add } = target(gradient);
    this.run(TASK_COLUMN_SUMS, Math.ceil(columns / 16), 1, pointer, source, rows, columns, add);
  }

  /** dx (+)= factor · dy */
  accumulate(dx: Gradient, dy: Tensor, factor: number): void {
    const count = elementCount(dy.shape);
    const add = dx.isEmpty ? 0 : 1;
    this.run(TASK_ACCUMULATE, chunks(count), 4, pointerOf(dx.tensor), this.at(dy), count, { f32: factor }, add);
    dx.isEmpty = false;
  }

  /** Σ x², in f64. */
  sumSquares(tensor: Tensor): number {
    const count = elementCount(tensor.shape);
    const units = Math.ceil(count / SUM_CHUNK);
    const mark = this.mark();
    const sums = this.take(units * 8);
    this.run(TASK_SUM_SQUARES, units, 1, this.at(tensor), count, sums);
    let sum = 0;
    for (const part of this.segment.doublesAt(sums, units)) sum += part;
    this.release(mark);
    return sum;
  }

  adamW(parameter: Tensor, gradient: Tensor, { m, v }: Moments, from: number, step: AdamWStep): void {
    const count = elementCount(m.shape);
    const { learningRate, beta1, beta2, eps, weightDecay, gradientScale } = step;
    this.run(
      TASK_ADAMW,
      chunks(count),
      4,
      pointerOf(parameter) + from * 4,
      pointerOf(gradient) + from * 4,
      pointerOf(m),
      pointerOf(v),
      count,
      { f32: 1 - learningRate * weightDecay },
      { f32: learningRate / (1 - beta1 ** step.step) },
      { f32: beta1 },
      { f32: 1 - beta1 },
      { f32: beta2 },
      { f32: 1 - beta2 },
      { f32: 1 / Math.sqrt(1 - beta2 ** step.step) },
      { f32: eps },
      { f32: gradientScale },
    );
  }
}

export interface TrainingExports extends KernelExports {
  attentionForwardBytes(rows: number, headSize: number): number;
  attentionBackwardBytes(rows: number, headSize: number): number;
}

/** Where a tensor lies that is in the home segment by its making: a parameter, a gradient, a moment. */
export function pointerOf(tensor: Tensor): number {
  return activation(tensor).pointer;
}

/** A gradient as a task's arguments: its place (0: not wanted) and whether to add. It holds something from now on. */
export function target(gradient: Gradient | null): { readonly pointer: number; readonly add: number } {
  if (!gradient) return { pointer: 0, add: 0 };
  const add = gradient.isEmpty ? 0 : 1;
  gradient.isEmpty = false;
  return { pointer: pointerOf(gradient.tensor), add };
}

/** Units of an elementwise task. */
export function chunks(count: number): number {
  return Math.ceil(count / CHUNK);
}
