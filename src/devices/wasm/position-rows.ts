/** Rows that depend on a position alone (rotations, sinusoids): computed once, then looked up. */
import { TASK_GATHER_ROWS } from '../../kernels/training-tasks.ts';
import { pointerOf, type TrainingKernels } from './training-kernels.ts';

export class PositionRows {
  private readonly kernels: TrainingKernels;
  private readonly columns: number;
  private readonly compute: (rows: Float32Array, positions: Uint32Array) => void;
  private table = 0;
  private count = 0;

  /** `compute` fills rows of `columns` numbers, one for each position. */
  constructor(
    kernels: TrainingKernels,
    columns: number,
    compute: (rows: Float32Array, positions: Uint32Array) => void,
  ) {
    this.kernels = kernels;
    this.columns = columns;
    this.compute = compute;
  }

  /** A tensor of the arena: one row for each position. */
  rows(positions_N: Uint32Array) {
    const { kernels, columns } = this;
    const y = kernels.scratch([positions_N.length, columns]);
    const end = positions_N.reduce((most, position) => Math.max(most, position + 1), 0);
    if (end > FEW + 4 * positions_N.length) this.compute(kernels.view(y), positions_N);
    else {
      if (end > this.count) this.extend(end);
      gatherRows(kernels, pointerOf(y), this.table, positions_N, columns);
    }
    return y;
  }

  private extend(end: number): void {
    const { kernels, columns } = this;
    const count = Math.max(end, 2 * this.count);
    this.table = kernels.segment.allocate(count * columns * 4, 'the positions');
    this.count = count;
    this.compute(
      kernels.segment.floatsAt(this.table, count * columns),
      Uint32Array.from({ length: count }, (_, p) => p),
    );
  }
}

/** Positions up to which a table is worth its memory, however short the batch. */
const FEW = 4096;

/** y_n = table_{ids_n}: rows of `columns` numbers at `table`. */
export function gatherRows(
  kernels: TrainingKernels,
  y: number,
  table: number,
  ids_N: Uint32Array,
  columns: number,
): void {
  const mark = kernels.arena.mark();
  const ids = kernels.arena.take(ids_N.length * 4);
  kernels.segment.wordsAt(ids, ids_N.length).set(ids_N);
  kernels.run(TASK_GATHER_ROWS, ids_N.length, 64, y, table, ids, columns);
  kernels.arena.release(mark);
}
