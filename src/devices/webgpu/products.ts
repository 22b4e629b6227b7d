/** Products with matrices: which kernel, in which pieces. */
import { COLUMN_SUM_ROWS, columnSums } from '../../kernels/add/webgpu.ts';
import { halfProduct, halveRows, isExactInHalves } from '../../kernels/gemm/f16.webgpu.ts';
import { hasIntegers, integerProduct, roundRows } from '../../kernels/gemm/int8.webgpu.ts';
import { MATVEC_ROWS, matvec, matvecGroupRows, routedMatvec } from '../../kernels/gemm/matvec.webgpu.ts';
import type { StoredType } from '../../kernels/gemm/stored.webgpu.ts';
import { type ProductChoice, product } from '../../kernels/gemm/webgpu.ts';
import { columnCount, rowCount } from '../../tensor/tensor.ts';
import type { Products } from './adapter.ts';
import type { Context } from './context.ts';
import type { Region } from './memory.ts';
import type { GpuMatrix, GpuTensor } from './tensors.ts';

/** Rows from which tiles of 64 are filled well enough. */
const LARGE_TILE = 48;

/** Kernels of a product whose rows of x are rounded before it, in units of 32 numbers. */
interface RoundedProduct {
  readonly round: typeof roundRows | typeof halveRows;
  /** Bytes of a rounded unit, without its scale. */
  readonly unitBytes: number;
  readonly product: (tile: 32 | 64) => ReturnType<typeof integerProduct>;
}

/** Null: x stays as it is. */
export function roundedProductOf(products: Products, type: StoredType, I: number): RoundedProduct | null {
  if (I % 32 !== 0) return null;
  const by = type === 'f16' ? products.ofHalves : products.by;
  if (by === 'int8' && hasIntegers(type))
    return { round: roundRows, unitBytes: 32, product: (tile) => integerProduct({ type, tile }) };
  if (by === 'f16' && isExactInHalves(type))
    return { round: halveRows, unitBytes: 64, product: (tile) => halfProduct({ type, tile }) };
  return null;
}

/** y_NO = x_NI · Wᵀ (+ bias). `exact`: x as it is, where the device would round it. */
export function linear(
  context: Context,
  y: Region,
  x: GpuTensor,
  w: GpuMatrix,
  bias: Region | null,
  exact = false,
): void {
  const N = rowCount(x.shape);
  if (N <= MATVEC_ROWS) {
    few(context, y, x, w, bias, N);
    return;
  }
  const rounded = exact ? null : roundedProductOf(context.products, w.stored, columnCount(w.shape));
  const most = rowsAtOnce(context, 2 * columnCount(w.shape) * rowCount(w.shape));
  for (let firstRow = 0; firstRow < N; firstRow += most) {
    const range = { firstRow, rows: Math.min(most, N - firstRow) };
    if (rounded) roundedProduct(context, rounded, y, x, w, bias, range);
    else forwardProduct(context, y, x, w, bias, range, firstRow);
  }
}

/** The rows of x, rounded, with W; they become the same rows of y. */
function roundedProduct(
  context: Context,
  { round, unitBytes, product }: RoundedProduct,
  y: Region,
  x: GpuTensor,
  w: GpuMatrix,
  bias: Region | null,
  { firstRow, rows }: RowRange,
): void {
  const { memory, queue } = context;
  const I = columnCount(w.shape);
  const O = rowCount(w.shape);
  const units = (rows * I) / 32;
  const mark = memory.mark();
  const [a, aScales] = [memory.take(units * unitBytes), memory.take(units * 16)];
  context.each(
    round,
    units,
    { x_NI: x.region, rounded_NI: a, scales_N: aScales },
    { start: firstRow * I, units: I / 32 },
  );
  for (const { quants, rest, firstRow: yStart, rowCount: C } of w.pieces) {
    const tile = rows >= LARGE_TILE && C >= LARGE_TILE ? 64 : 32;
    const tilesM = Math.ceil(rows / tile);
    queue.dispatch(
      product(tile),
      { a, aScales, quants, rest, bias: bias ?? aScales, y_MC: y },
      { M: rows, C, I, stride: O, yStart, yOffset: firstRow * O, tilesM, hasBias: bias ? 1 : 0 },
      tilesM * Math.ceil(C / tile),
      w.bytes * (C / O) + units * (unitBytes + 16) + rows * C * 4,
      2 * rows * C * I,
    );
  }
  memory.release(mark);
}

/** Rows of a product, or of attention, whose dispatch does not take too long: whole tiles of them. */
export function rowsAtOnce({ queue }: Context, flopsOfRow: number): number {
  return Math.max(1, Math.floor(queue.longestFlops / flopsOfRow / LARGEST_TILE)) * LARGEST_TILE;
}
const LARGEST_TILE = 64;

function few(context: Context, y: Region, x: GpuTensor, w: GpuMatrix, bias: Region | null, N: number): void {
  const I = columnCount(w.shape);
  const O = rowCount(w.shape);
  if (N === 0) return;
  const rows = N === 1 ? 1 : N === 2 ? 2 : 4;
  const lanes = I <= 256 ? 8 : 32;
  const subgroups = context.hasSubgroups && lanes === 32 ? ({ subgroups: true } as const) : {};
  const choice = { type: w.stored, rows, lanes, whole: I % 32 === 0, ...subgroups } as const;
  const kernel = matvec(choice);
  for (const { quants, rest, firstRow: pieceStart, rowCount: pieceRows } of w.pieces) {
    const buffers = { x_NI: x.region, quants, rest, bias_O: bias ?? x.region, y_NO: y };
    const parameters = { N, I, O, firstRow: 0, pieceStart, pieceRows, hasBias: bias ? 1 : 0, eps: 0, limit: 0 };
    const bytes = w.bytes * (pieceRows / O) + N * I * 4 + N * pieceRows * 4;
    const groups = Math.ceil(pieceRows / matvecGroupRows(choice));
    context.queue.dispatch(kernel, buffers, parameters, groups, bytes, 2 * N * I * pieceRows);
  }
}

/** Rows of a side, a part of its tensor. */
export interface RowRange {
  readonly firstRow: number;
  readonly rows: number;
}

/** A product's sizes and places; what is left out is 0. */
interface ProductCall {
  readonly choice: Omit<ProductChoice, 'tile'>;
  readonly a: Region;
  readonly y: Region;
  readonly bias?: Region | null;
  readonly M: number;
  readonly C: number;
  readonly K: number;
  readonly I: number;
  readonly aRows: number;
  readonly A: number;
  readonly aStart: number;
  readonly aStride: number;
  readonly stride: number;
  readonly yStart: number;
  readonly yOffset: number;
  readonly bRow: number;
  /** y = kept · y + product */
  readonly kept: number;
}

function dispatchProduct(
  { queue }: Context,
  { choice, a, y, bias = null, ...sizes }: ProductCall,
  b: { readonly quants: Region; readonly rest: Region },
  bytes: number,
): void {
  const { M, C, K } = sizes;
  if (M === 0 || C === 0) return;
  const tile = M >= LARGE_TILE && C >= LARGE_TILE ? 64 : 32;
  const tilesM = Math.ceil(M / tile);
  queue.dispatch(
    product({ ...choice, tile }),
    { a, quants: b.quants, rest: b.rest, bias: bias ?? a, y_MC: y },
    { ...sizes, tilesM, hasBias: bias ? 1 : 0 },
    tilesM * Math.ceil(C / tile),
    bytes + (M * K + M * C) * 4,
    2 * M * C * K,
  );
}

/** y_NO = x_NI · Wᵀ over some rows of x; they become those of y from row `toRow` on. */
export function forwardProduct(
  context: Context,
  y: Region,
  x: GpuTensor,
  w: GpuMatrix,
  bias: Region | null,
  { firstRow, rows }: RowRange,
  toRow = 0,
): void {
  const I = columnCount(w.shape);
  const O = rowCount(w.shape);
  for (const piece of w.pieces) {
    dispatchProduct(
      context,
      {
        choice: { form: 'forward', type: w.stored, whole: I % 4 === 0 },
        a: x.region,
        y,
        bias,
        M: rows,
        C: piece.rowCount,
        K: I,
        I,
        aRows: rows,
        A: I,
        aStart: firstRow * I,
        aStride: I,
        stride: O,
        yStart: piece.firstRow,
        yOffset: toRow * O,
        bRow: 0,
        kept: 0,
      },
      piece,
      w.bytes * (piece.rowCount / O),
    );
  }
}

/** dx_NI = kept · dx + dy_NO · W; row 0 of dy belongs to row `firstRow` of dx. */
export function inputProduct(
  context: Context,
  dx: Region,
  dy: Region,
  w: GpuMatrix,
  { firstRow, rows }: RowRange,
  kept: number,
): void {
  const I = columnCount(w.shape);
  const O = rowCount(w.shape);
  for (const [i, piece] of w.pieces.entries()) {
    dispatchProduct(
      context,
      {
        choice: {
          form: 'input',
          type: w.stored,
          whole: O % 4 === 0 && piece.firstRow % 4 === 0 && piece.rowCount % 4 === 0,
        },
        a: dy,
        y: dx,
        M: rows,
        C: I,
        K: piece.rowCount,
        I,
        aRows: rows,
        A: piece.rowCount,
        aStart: piece.firstRow,
        aStride: O,
        stride: I,
        yStart: 0,
        yOffset: firstRow * I,
        bRow: 0,
        kept: i > 0 ? 1 : kept,
      },
      piece,
      w.bytes * (piece.rowCount / O),
    );
  }
}

/** dw_OI = kept · dw + dyᵀ · x; row 0 of dy belongs to row `firstRow` of x. */
export function weightProduct(
  context: Context,
  dw: Region,
  dy: Region,
  x: Region,
  sizes: { readonly O: number; readonly I: number } & RowRange,
  kept: number,
): void {
  const { O, I, firstRow, rows } = sizes;
  dispatchProduct(
    context,
    {
      choice: { form: 'weight', type: I % 4 === 0 ? 'f32' : 'loose', whole: O % 4 === 0 },
      a: dy,
      y: dw,
      M: O,
      C: I,
      K: rows,
      I,
      aRows: rows,
      A: O,
      aStart: 0,
      aStride: O,
      stride: I,
      yStart: 0,
      yOffset: 0,
      bRow: firstRow,
      kept,
    },
    { quants: x, rest: x },
    rows * I * 4,
  );
}

/** y_D = or += Σ_n x_nd */
export function sumColumns(context: Context, y: Region, x: Region, N: number, D: number, adds: boolean): void {
  const mark = context.memory.mark();
  let [from, rows] = [x, N];
  while (rows > COLUMN_SUM_ROWS) {
    const parts = Math.ceil(rows / COLUMN_SUM_ROWS);
    const sums = context.memory.take(parts * D * 4);
    context.each(columnSums, parts * D, { x_ND: from, y_CD: sums }, { N: rows, D, adds: 0 });
    [from, rows] = [sums, parts];
  }
  context.each(columnSums, D, { x_ND: from, y_CD: y }, { N: rows, D, adds: adds ? 1 : 0 });
  context.memory.release(mark);
}

/** y_MO of an experts' stack w_XOI, each row m of `chosen` through its own expert. */
export function routedLinear(
  context: Context,
  y: Region,
  x: GpuTensor,
  w: GpuMatrix,
  chosen: GpuTensor,
  bias: Region | null,
): void {
  const [, O, I] = w.shape as [number, number, number];
  const M = rowCount(chosen.shape) * columnCount(chosen.shape);
  const sharers = M / Math.max(1, rowCount(x.shape));
  const kernel = routedMatvec(`${w.stored} ${I % 32 === 0 ? 'whole' : 'loose'}`);
  const groupsPerRow = Math.ceil(O / 2);
  for (const { quants, rest, firstRow: pieceStart, rowCount: pieceRows } of w.pieces) {
    context.queue.dispatch(
      kernel,
      { x_NI: x.region, quants, rest, chosen_M: chosen.region, bias_XO: bias ?? x.region, y_MO: y },
      { M, I, O, sharers, pieceStart, pieceRows, groupsPerRow, hasBias: bias ? 1 : 0 },
      M * groupsPerRow,
      // Of the experts that this piece holds; how many of them are chosen only the GPU knows.
      (w.bytes * Math.min(1, M / w.shape[0]!) * pieceRows) / rowCount(w.shape) + (rowCount(x.shape) * I + M * O) * 4,
      (2 * M * I * O * pieceRows) / rowCount(w.shape),
    );
  }
}
