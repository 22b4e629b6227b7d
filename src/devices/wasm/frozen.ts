/**
 * Frozen weights in training: products with f32 activations, and the gradient that passes through. A tile of rows is decoded to f32 in
 * the home segment at a time, so that the matrix stays in its stored type.
 *
 *   y_NO = x_NI · w_OIᵀ        dx_NI += dy_NO · w_OI
 */
import { embed } from '../../kernels/linear/unpack.kernel.ts';
import { PACK_F32 } from '../../kernels/tasks.ts';
import { TILE_COLUMNS } from '../../kernels/training-tasks.ts';
import { decodeHeld } from '../../quant/nf4.ts';
import { columnCount, rowCount } from '../../tensor/tensor.ts';
import { inSegment } from './op-context.ts';
import { type FrozenMatrix, floatsOf, WasmMatrix, WasmNf4 } from './tensors.ts';
import type { Operand, TrainingKernels } from './training-kernels.ts';
import { groupPanels } from './weights.ts';

/** Bytes of a decoded tile. */
const TILE_BYTES = 8 * 2 ** 20;

/** Calls `use` with every tile of rows, decoded: a place in the home segment that holds `count` rows from `first` on. */
function eachTile(
  kernels: TrainingKernels,
  w_OI: FrozenMatrix,
  use: (tile: number, first: number, count: number) => void,
): void {
  const I = columnCount(w_OI.shape);
  const O = rowCount(w_OI.shape);
  const rows = Math.min(O, Math.max(16, Math.floor(TILE_BYTES / (I * 4) / 16) * 16));
  for (let first = 0; first < O; first += rows) {
    const count = Math.min(rows, O - first);
    const mark = kernels.mark();
    use(decodeRows(kernels, w_OI, first, count), first, count);
    kernels.release(mark);
  }
}

function decodeRows(kernels: TrainingKernels, w_OI: FrozenMatrix, first: number, count: number): number {
  const { arena, team } = kernels.context;
  const I = columnCount(w_OI.shape);
  if (w_OI instanceof WasmNf4) {
    const decoded = arena.matrix(kernels.segment, count, I);
    decodeHeld(w_OI.held, first * I, floatsOf(decoded));
    return decoded.pointer;
  }
  const { segment, kind, pointer } = w_OI;
  const decoded = arena.matrix(segment, count, I);
  const ids = arena.scratch(segment, count * 4).pointer;
  for (let n = 0; n < count; n++) segment.setWord(ids + 4 * n, first + n);
  team.perform(segment, embed[kind]!, { packed: pointer, columns: I, out: decoded.pointer, ids }, count, 4);
  return inSegment(kernels.context, decoded, kernels.segment).pointer;
}

/** `rows` rows of x times w: written to `y`, whose rows are O floats apart. */
export function frozenProduct(kernels: TrainingKernels, y: number, x: Operand, rows: number, w_OI: FrozenMatrix): void {
  const I = columnCount(w_OI.shape);
  const O = rowCount(w_OI.shape);
  eachTile(kernels, w_OI, (tile, first, count) => {
    const right = { pointer: tile, rowStride: I, kStride: 1 };
    kernels.gemm(y + first * 4, rows, count, I, x, right, false, O);
  });
}

/** The columns of a matrix of f32 as rows of a product, taken from where they are stored: of a group of rows, one column after the other. */
function storedColumns(kernels: TrainingKernels, { pointer, shape }: WasmMatrix): Operand {
  const I = columnCount(shape);
  const groupRows = 8 * groupPanels(PACK_F32);
  return {
    pointer,
    rowStride: groupRows,
    kStride: 1,
    writePanels(to, column, row, columns, rows, far) {
      for (let done = 0; done < rows; ) {
        const [group, inside] = [Math.floor((row + done) / groupRows), (row + done) % groupRows];
        const K = Math.min(groupRows - inside, rows - done);
        const source = pointer + ((group * I + column) * groupRows + inside) * 4;
        const target = to + done * TILE_COLUMNS * 4;
        kernels.pack(TILE_COLUMNS, source, target, { rowStride: groupRows, kStride: 1, rows: columns, K, far });
        done += K;
      }
    },
  };
}

/** dx, `rows` rows at `dx`, (+)= dy · w, where dy is an operand of all O columns, rounded already where products read bf16. */
export function frozenGradient(
  kernels: TrainingKernels,
  dx: number,
  dy: Operand,
  rows: number,
  w_OI: FrozenMatrix,
  add: boolean,
): void {
  const I = columnCount(w_OI.shape);
  if (kernels.packs && w_OI instanceof WasmMatrix && w_OI.kind === PACK_F32 && w_OI.segment === kernels.segment) {
    kernels.gemm(dx, rows, I, rowCount(w_OI.shape), dy, storedColumns(kernels, w_OI), add);
    return;
  }
  eachTile(kernels, w_OI, (tile, first, count) => {
    const left = { ...dy, pointer: dy.pointer + first * (dy.isRounded ? 2 : 4) };
    const right = { pointer: tile, rowStride: 1, kStride: I };
    kernels.gemm(dx, rows, I, count, left, right, add || first > 0);
  });
}
