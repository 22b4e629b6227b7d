/** Rows that depend on a position alone (rotations, sinusoids): computed once, then looked up. */
import { gatherRows as gather } from '../../kernels/embed/gather.kernel.ts';
import type { Segment } from './segment.ts';
import type { TrainingKernels } from './training-kernels.ts';

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
      const mark = kernels.mark();
      const ids = kernels.take(positions_N.length * 4);
      kernels.segment.wordsAt(ids, positions_N.length).set(positions_N);
      gatherRows(kernels, kernels.segment, y.pointer, this.table, ids, positions_N.length, columns);
      kernels.release(mark);
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

/** y_n = table_{ids_n}: rows of `columns` numbers at `table`; `ids`: where `count` numbers of rows lie. */
export function gatherRows(
  kernels: TrainingKernels,
  segment: Segment,
  y: number,
  table: number,
  ids: number,
  count: number,
  columns: number,
): void {
  kernels.perform(segment, gather, { y, table, ids, D: columns }, count, 64);
}
