/** What operations on f32 numbers of the home segment share, forward and backward: places, tasks and the matrix product. */

import { adamW, SUM_FLOATS, sumSquares } from '../../kernels/adamw/kernel.ts';
import type { AdamWStep } from '../../kernels/adamw/reference.ts';
import { accumulate } from '../../kernels/add/backward.kernel.ts';
import type { Gradient } from '../../kernels/backward-ops.ts';
import { dropout } from '../../kernels/dropout/kernel.ts';
import type { Dropout } from '../../kernels/dropout/reference.ts';
import { gemmBlas } from '../../kernels/gemm/blas.kernel.ts';
import type { BlasOperands } from '../../kernels/gemm/blas.ts';
import { gemm } from '../../kernels/gemm/kernel.ts';
import { gemmPack } from '../../kernels/gemm/pack.kernel.ts';
import { roundBf16 } from '../../kernels/gemm/round.kernel.ts';
import { blend } from '../../kernels/muon/kernel.ts';
import { columnSums, SUM_COLUMNS } from '../../kernels/rms-norm/backward.kernel.ts';
import {
  BLOCK_COLUMNS,
  BLOCK_ROWS,
  EDGE_BYTES,
  PANEL_GROUP,
  TILE_COLUMNS,
  TILE_ROWS,
} from '../../kernels/training-tasks.ts';
import { elementUnits } from '../../kernels/units.ts';
import type { ArgumentNumbers, Arguments, Task } from '../../kernels/writer/task.ts';
import { columnCount, elementCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { Moments } from '../device.ts';
import type { ActivationArena } from './activation-arena.ts';
import { inSegment, type OpContext } from './op-context.ts';
import type { Segment } from './segment.ts';
import type { Team } from './team.ts';
import { activation, floatsOf, type WasmTensor } from './tensors.ts';
import { dropoutNumbers } from './training-attention.ts';

/** Runs every task of a device that is being measured, and is told its name. */
export type TaskWatch = (task: string, work: () => void) => void;

/** A matrix as the product sees it: rows × K numbers, `rowStride` and `kStride` floats apart; one of the two is 1. */
export interface Operand {
  readonly pointer: number;
  readonly rowStride: number;
  readonly kStride: number;
  /** The numbers are bf16 already. */
  readonly isRounded?: true;
  /** Its numbers lie otherwise: writes the panels of `rows` rows from `row` on, of K numbers from `k` on, each `far` bytes from the last. */
  readonly writePanels?: (to: number, row: number, k: number, rows: number, K: number, far: number) => void;
}

/** The same numbers, read the other way. */
export function transposed(operand: Operand): Operand {
  return { ...operand, rowStride: operand.kStride, kStride: operand.rowStride };
}

function rowsFrom(operand: Operand, first: number): Operand {
  return { ...operand, pointer: operand.pointer + first * operand.rowStride * 4 };
}

/** Rows or columns below which a tile for a BLAS is not cut to give the threads several each; what all tiles are multiples of. */
const BLAS_TILE = 256;
const BLAS_UNIT = 32;

/** What a product of our own packs at a time; whole blocks of k and of columns (kernels/gemm), so that it changes no sum. */
const PACKED_DEPTH = 1024;
const PACKED_COLUMNS = 4096;

/** Units of an element-wise task that a thread takes at a time. */
export const ELEMENT_CHUNK = 16;

/** Columns of B up to which A stays where it lies, and rows of A up to which B does: a tile or two of the other side read it. */
const FEW_COLUMNS = 2 * TILE_COLUMNS;
const FEW_ROWS = 4 * TILE_ROWS;

/** An operand as the kernel reads it: where it begins, and bytes from panel's row to panel's row, from row to row, from k to k. */
interface Panels {
  readonly at: number;
  readonly far: number;
  readonly row: number;
  readonly step: number;
}

export class TrainingKernels {
  readonly segment: Segment;
  readonly context: OpContext;
  private readonly arena: ActivationArena;
  private readonly team: Team;
  private readonly blas: BlasOperands | null;
  /** Our own products are as fast as a BLAS's, and faster where a side is thin. */
  private readonly isWide: boolean;
  private readonly watch: TaskWatch | null;
  private edges = 0;

  constructor(context: OpContext, blas: BlasOperands | null, isWide: boolean, watch: TaskWatch | null) {
    this.context = context;
    this.segment = context.home;
    this.team = context.team;
    this.arena = context.arena;
    this.blas = blas;
    this.isWide = isWide;
    this.watch = watch;
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

  /** Runs an element-wise task over `count` numbers. */
  elements<A extends Arguments>(task: Task<A>, values: ArgumentNumbers<A> & { readonly count: number }): void {
    this.perform(this.segment, task, values, elementUnits(values.count), ELEMENT_CHUNK);
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
    if (this.watch) this.watch(task.name, work);
    else work();
  }

  /** C [M × N] (+)= A · Bᵀ, where B is given as its N rows of K numbers; rows of C are `cRow` floats apart. */
  gemm(c: number, M: number, N: number, K: number, a: Operand, b: Operand, add: boolean, cRow = N): void {
    if (M === 0 || N === 0) return;
    const mark = this.mark();
    const isThin = Math.min(M, N, K) <= FEW_ROWS;
    if (this.packs && (this.blas === null || isThin || b.writePanels)) {
      this.gemmByPanels(c, M, N, K, a, b, add, cRow);
    } else if (this.blas === 'f32') {
      this.gemmByBlas(c, M, N, K, a, b, add, 'f32', cRow);
    } else this.gemmByBlas(c, M, N, K, this.roundBf16(a, M * K), this.roundBf16(b, N * K), add, 'bf16', cRow);
    this.release(mark);
  }

  /** Whether a product of few columns and many rows, both of whose operands have their rows side by side, is better made transposed. */
  isFlat(columns: number, rows: number): boolean {
    return this.packs && columns <= FEW_ROWS && rows > columns;
  }

  /**
   * The same product by way of Cᵀ = B · Aᵀ: both operands are read along their rows, where C's own tiles of six rows would take a
   * line of memory for six numbers.
   */
  gemmTransposed(c: number, M: number, N: number, K: number, a: Operand, b: Operand, add: boolean): void {
    const mark = this.mark();
    const turned = this.take(M * N * 4);
    this.gemm(turned, N, M, K, b, a, false);
    // Panels of Cᵀ are C, TILE_COLUMNS of its columns at a time.
    const far = M * TILE_COLUMNS * 4;
    const isC = N === TILE_COLUMNS && !add;
    const panels = isC ? c : this.take(Math.ceil(N / TILE_COLUMNS) * far);
    this.pack(TILE_COLUMNS, turned, panels, { rowStride: M, kStride: 1, rows: N, K: M, far });
    if (!isC) {
      const [from, to] = [
        this.segment.floatsAt(panels, (Math.ceil(N / TILE_COLUMNS) * far) / 4),
        this.segment.floatsAt(c, M * N),
      ];
      for (let m = 0; m < M; m++) {
        for (let n = 0; n < N; n++) {
          const at = Math.floor(n / TILE_COLUMNS) * M * TILE_COLUMNS + m * TILE_COLUMNS + (n % TILE_COLUMNS);
          to[m * N + n] = (add ? to[m * N + n]! : 0) + from[at]!;
        }
      }
    }
    this.release(mark);
  }

  /**
   * Packs PACKED_DEPTH steps of k at a time, and of those PACKED_COLUMNS columns, so that a large vocabulary is never packed whole; of an
   * operand that stays where it lies, rows that fill no panel are multiplied by themselves.
   */
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
    const [staysA, staysB] = [N <= FEW_COLUMNS, M <= FEW_ROWS && b.rowStride === 1 && !b.writePanels];
    const wholeRows = M - (M % TILE_ROWS);
    if (staysA && wholeRows > 0 && wholeRows < M) {
      this.gemmByPanels(c, wholeRows, N, K, a, b, add, cRow);
      this.gemmByPanels(c + wholeRows * cRow * 4, M - wholeRows, N, K, rowsFrom(a, wholeRows), b, add, cRow);
      return;
    }
    const wholeColumns = N - (N % TILE_COLUMNS);
    if (staysB && wholeColumns > 0 && wholeColumns < N) {
      this.gemmByPanels(c, M, wholeColumns, K, a, b, add, cRow);
      this.gemmByPanels(c + wholeColumns * 4, M, N - wholeColumns, K, a, rowsFrom(b, wholeColumns), add, cRow);
      return;
    }
    this.edges ||= this.segment.allocate(this.team.size * EDGE_BYTES, 'scratch');
    const scratch = { scratch: this.edges, scratchBytes: EDGE_BYTES };
    for (let k = 0; k < K; k += PACKED_DEPTH) {
      const depth = Math.min(PACKED_DEPTH, K - k);
      const mark = this.mark();
      const left = this.panels(a, 0, k, M, depth, TILE_ROWS, staysA);
      for (let n = 0; n < N; n += PACKED_COLUMNS) {
        const columns = Math.min(PACKED_COLUMNS, N - n);
        const inner = this.mark();
        const right = this.panels(b, n, k, columns, depth, TILE_COLUMNS, staysB);
        const units = Math.ceil(M / BLOCK_ROWS) * Math.ceil(columns / BLOCK_COLUMNS);
        const operands = {
          ...{ a: left.at, aFar: left.far, aRow: left.row, aStep: left.step },
          ...{ b: right.at, bFar: right.far, bStep: right.step },
          ...{ c: c + n * 4, cRow: cRow * 4, M, N: columns, K: depth, adds: add || k > 0 ? 1 : 0 },
        };
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
    operands: BlasOperands,
    cRow: number,
  ): void {
    const isTall = M >= N;
    const length = Math.max(M, N);
    const parts = this.team.size * Math.max(1, Math.min(4, Math.floor(length / (BLAS_TILE * this.team.size))));
    const cut = this.team.size === 1 ? length : Math.ceil(length / parts / BLAS_UNIT) * BLAS_UNIT;
    const [rows, columns] = isTall ? [cut, N] : [M, cut];
    const sizes = { c, cRow, M, N, K, adds: add ? 1 : 0, tileRows: rows, tileColumns: columns };
    const ofA = { a: a.pointer, aRow: a.rowStride, aStep: a.kStride };
    const ofB = { b: b.pointer, bColumn: b.rowStride, bStep: b.kStride };
    this.perform(this.segment, gemmBlas[operands], { ...sizes, ...ofA, ...ofB }, Math.ceil(length / cut), 1);
  }

  /** An operand of `count` numbers for several products: where they read bf16, it is rounded once. */
  shared(operand: Operand, count: number): Operand {
    return this.blas === 'bf16' ? this.roundBf16(operand, count) : operand;
  }

  private roundBf16(operand: Operand, count: number): Operand {
    if (operand.isRounded) return operand;
    const pointer = this.take(count * 2);
    this.elements(roundBf16, { y: pointer, x: operand.pointer, count });
    return { ...operand, pointer, isRounded: true };
  }

  /** Panels of `width` rows of the part of an operand that begins at `row` and `k`: where it lies if it may stay there, else packed. */
  private panels(
    { pointer, rowStride, kStride, writePanels }: Operand,
    row: number,
    k: number,
    rows: number,
    K: number,
    width: keyof typeof gemmPack,
    stays: boolean,
  ): Panels {
    const source = pointer + (row * rowStride + k * kStride) * 4;
    if (stays && rows % width === 0) return { at: source, far: rowStride * 4, row: rowStride * 4, step: kStride * 4 };
    const panels = Math.ceil(rows / width);
    const far = width * K * 4;
    const target = this.take(panels * far);
    if (writePanels) writePanels(target, row, k, rows, K, far);
    else this.pack(width, source, target, { rowStride, kStride, rows, K, far });
    return { at: target, far: K * 4, row: 4, step: width * 4 };
  }

  /** Panels of `width` rows; strides in floats, `far` in bytes. */
  pack(
    width: keyof typeof gemmPack,
    source: number,
    target: number,
    { rowStride, kStride, rows, K, far }: Pick<Operand, 'rowStride' | 'kStride'> & Record<'rows' | 'K' | 'far', number>,
  ): void {
    const values = { source, target, rowStride: rowStride * 4, kStride: kStride * 4, rows, K, far };
    this.perform(this.segment, gemmPack[width], values, Math.ceil(rows / width / PANEL_GROUP), 1);
  }

  /** Products are our own, or at least those are whose operands are thin or lie in panels: they are packed here. */
  get packs(): boolean {
    return this.blas === null || (this.blas === 'f32' && this.isWide);
  }

  /** target ← factor · target + other · source */
  blend(to: Tensor, factor: number, source: Tensor, other: number): void {
    const count = elementCount(to.shape);
    this.elements(blend, { target: pointerOf(to), source: this.at(source), count, factor, other });
  }

  /** y (+)= dropout(x) */
  dropout(y: number, x: Tensor, options: Dropout, adds: number): void {
    const columns = columnCount(x.shape);
    const values = { y, x: this.at(x), columns, ...dropoutNumbers(options), adds };
    this.perform(this.segment, dropout, values, rowCount(x.shape), 16);
  }

  /** gradient (+)= the sums of the columns of `rows` rows at `source`. */
  columnSums(gradient: Gradient, source: number, rows: number, columns: number): void {
    const { pointer, adds } = target(gradient);
    const values = { target: pointer, source, rows, columns, adds };
    this.perform(this.segment, columnSums, values, Math.ceil(columns / SUM_COLUMNS), 1);
  }

  /** dx (+)= factor · dy */
  accumulate(gradient: Gradient, dy: Tensor, factor: number): void {
    const { pointer: dx, adds } = target(gradient);
    this.elements(accumulate, { dx, dy: this.at(dy), count: elementCount(dy.shape), factor, adds });
  }

  /** Σ x², in f64. */
  sumSquares(tensor: Tensor): number {
    const count = elementCount(tensor.shape);
    const units = Math.ceil(count / SUM_FLOATS);
    const mark = this.mark();
    const sums = this.take(units * 8);
    this.perform(this.segment, sumSquares, { x: this.at(tensor), count, sums }, units, 1);
    let sum = 0;
    for (const part of this.segment.doublesAt(sums, units)) sum += part;
    this.release(mark);
    return sum;
  }

  adamW(parameter: Tensor, gradient: Tensor, moments: Moments, from: number, step: AdamWStep): void {
    const { learningRate, beta1, beta2, eps, weightDecay, gradientScale } = step;
    this.elements(adamW, {
      p: pointerOf(parameter) + from * 4,
      g: pointerOf(gradient) + from * 4,
      m: pointerOf(moments.m),
      v: pointerOf(moments.v),
      count: elementCount(moments.m.shape),
      keep: 1 - learningRate * weightDecay,
      rate: learningRate / (1 - beta1 ** step.step),
      beta1,
      rest1: 1 - beta1,
      beta2,
      rest2: 1 - beta2,
      correction: 1 / Math.sqrt(1 - beta2 ** step.step),
      eps,
      gradientScale,
    });
  }
}

/** Where a tensor lies that is in the home segment by its making: a parameter, a gradient, a moment. */
export function pointerOf(tensor: Tensor): number {
  return activation(tensor).pointer;
}

/** A gradient as a task's arguments: its place (0: not wanted) and whether to add. It holds something from now on. */
export function target(gradient: Gradient | null): { readonly pointer: number; readonly adds: number } {
  if (!gradient) return { pointer: 0, adds: 0 };
  const adds = gradient.isEmpty ? 0 : 1;
  gradient.isEmpty = false;
  return { pointer: pointerOf(gradient.tensor), adds };
}
