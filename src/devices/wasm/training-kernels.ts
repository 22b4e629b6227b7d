/** What the wasm training device's forward and backward operations share: tensors, tasks and the matrix product. */
import { assert } from '../../base/assert.ts';
import type { Gradient } from '../../kernels/backward-ops.ts';
import type { BlasOperands } from '../../kernels/gemm/blas.ts';
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
  TASK_GEMM,
  TASK_GEMM_BLAS,
  TASK_GEMM_PACK,
  TASK_SUM_SQUARES,
  TILE_COLUMNS,
  TILE_ROWS,
} from '../../kernels/training-tasks.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import type { AdamWStep, Moments } from '../training-device.ts';
import { Arena } from './arena.ts';
import type { KernelExports } from './modules.ts';
import type { Segment } from './segment.ts';
import type { Team } from './team.ts';

/** f32, row-major, at `pointer` of the device's one memory. */
export interface TrainingTensor extends Tensor {
  readonly pointer: number;
}

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
  readonly arena: Arena;
  readonly exports: TrainingExports;
  private readonly team: Team;
  private readonly blas: BlasOperands | null;
  private readonly watch: TaskWatch | null;
  private readonly edges: number;

  constructor(segment: Segment, team: Team, blas: BlasOperands | null, watch: TaskWatch | null) {
    this.segment = segment;
    this.team = team;
    this.blas = blas;
    this.watch = watch;
    this.arena = new Arena(segment);
    this.exports = segment.kernels as TrainingExports;
    this.edges = segment.allocate(team.size * EDGE_BYTES, 'scratch');
  }

  get threads(): number {
    return this.team.size;
  }

  tensorAt(pointer: number, shape: readonly number[]): TrainingTensor {
    return { dtype: 'f32', shape, pointer };
  }

  scratch(shape: readonly number[]): TrainingTensor {
    return this.tensorAt(this.arena.take(elementCount(shape) * 4), shape);
  }

  view(tensor: Tensor): Float32Array {
    return this.segment.floatsAt(pointerOf(tensor), elementCount(tensor.shape));
  }

  /** Runs a task; arguments are whole numbers, or { f32 } for real ones. */
  run(task: number, units: number, chunk: number, ...values: readonly (number | { readonly f32: number })[]): void {
    values.forEach((value, i) => {
      if (typeof value === 'number') this.segment.ints[i] = value;
      else this.segment.floats[i] = value.f32;
    });
    if (this.watch) this.watch(task, () => this.team.run(this.segment, task, units, chunk));
    else this.team.run(this.segment, task, units, chunk);
  }

  keep(mark: number, tensors: readonly Tensor[]): Tensor[] {
    this.arena.release(mark);
    const order = tensors.map((_, i) => i);
    const moved: Tensor[] = [];
    // In the order in which they were made, each goes to where it was or below: nothing is overwritten before it is moved.
    for (const i of order.sort((a, b) => this.sequence(tensors[a]!) - this.sequence(tensors[b]!))) {
      const { shape } = tensors[i]!;
      const target = this.scratch(shape);
      this.segment.copyWithin(target.pointer, pointerOf(tensors[i]!), elementCount(shape) * 4);
      moved[i] = target;
    }
    return moved;
  }

  private sequence(tensor: Tensor): number {
    return this.arena.sequenceOf(pointerOf(tensor));
  }

  /** C [M × N] (+)= A · Bᵀ, where B is given as its N rows of K numbers. */
  gemm(c: number, M: number, N: number, K: number, a: Operand, b: Operand, add: boolean): void {
    if (M === 0 || N === 0) return;
    const mark = this.arena.mark();
    if (this.blas === 'f32') {
      this.gemmByBlas(c, M, N, K, a, b, add, 4);
    } else if (this.blas === 'bf16') {
      this.gemmByBlas(c, M, N, K, this.roundBf16(a, M * K), this.roundBf16(b, N * K), add, 2);
    } else this.gemmByPanels(c, M, N, K, a, b, add);
    this.arena.release(mark);
  }

  /** Packs PACKED_DEPTH steps of k at a time, and of those PACKED_COLUMNS columns, so that a large vocabulary is never packed whole. */
  private gemmByPanels(c: number, M: number, N: number, K: number, a: Operand, b: Operand, add: boolean): void {
    for (let k = 0; k < K; k += PACKED_DEPTH) {
      const depth = Math.min(PACKED_DEPTH, K - k);
      const mark = this.arena.mark();
      const packedA = this.pack(a, 0, k, M, depth, TILE_ROWS);
      for (let n = 0; n < N; n += PACKED_COLUMNS) {
        const columns = Math.min(PACKED_COLUMNS, N - n);
        const inner = this.arena.mark();
        const packedB = this.pack(b, n, k, columns, depth, TILE_COLUMNS);
        const units = Math.ceil(M / BLOCK_ROWS) * Math.ceil(columns / BLOCK_COLUMNS);
        const adds = add || k > 0 ? 1 : 0;
        this.run(TASK_GEMM, units, 1, packedA, packedB, c + n * 4, N * 4, M, columns, depth, adds, this.edges);
        this.arena.release(inner);
      }
      this.arena.release(mark);
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
    );
  }

  /** An operand of `count` numbers for several products: where they read bf16, it is rounded once. */
  shared(operand: Operand, count: number): Operand {
    return this.blas === 'bf16' ? this.roundBf16(operand, count) : operand;
  }

  private roundBf16(operand: Operand, count: number): Operand {
    if (operand.isRounded) return operand;
    const pointer = this.arena.take(count * 2);
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
    const target = this.arena.take(panels * width * K * 4);
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
    this.run(TASK_BLEND, chunks(count), 4, pointerOf(to), pointerOf(source), count, { f32: factor }, { f32: other });
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
    this.run(TASK_ACCUMULATE, chunks(count), 4, pointerOf(dx.tensor), pointerOf(dy), count, { f32: factor }, add);
    dx.isEmpty = false;
  }

  sumSquares(tensor: Tensor): number {
    const count = elementCount(tensor.shape);
    const units = Math.ceil(count / SUM_CHUNK);
    const mark = this.arena.mark();
    const sums = this.arena.take(units * 8);
    this.run(TASK_SUM_SQUARES, units, 1, pointerOf(tensor), count, sums);
    let sum = 0;
    for (const part of this.doublesAt(sums, units)) sum += part;
    this.arena.release(mark);
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

  doublesAt(pointer: number, count: number): Float64Array {
    return new Float64Array(this.segment.memory.buffer, pointer, count);
  }
}

export interface TrainingExports extends KernelExports {
  attentionForwardBytes(rows: number, headSize: number): number;
  attentionBackwardBytes(rows: number, headSize: number): number;
}

export function pointerOf(tensor: Tensor): number {
  assert('pointer' in tensor, 'wasm training device: the tensor belongs to another device');
  return (tensor as TrainingTensor).pointer;
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
