// C (+)= A · B in f32, for any strides: the three products of a linear layer's training.
//
//   forward  y = x · Wᵀ        backward  dx = dy · W        dW = dyᵀ · x
//
// Both operands are first packed into panels (4 rows of A, 16 columns of B, side by side for each k), so that the register tile
// reads them in a line. A thread takes blocks of 128 × 256 of C; inside, k is cut so that a panel of B stays in the first cache
// and a block of A in the second. Every element of C adds its products in the order of k, whoever computes it.
// Source  Goto & van de Geijn 2008, "Anatomy of high-performance matrix multiplication".
import { arg, madd } from '../simd.assembly';
import { BLOCK_COLUMNS, BLOCK_ROWS, CONTROL_WIDE, EDGE_BYTES, TILE_COLUMNS, TILE_ROWS } from '../training-tasks';

const ROWS: usize = TILE_ROWS;
const COLUMNS: usize = TILE_COLUMNS;
const WIDE: usize = BLOCK_COLUMNS;
const TALL: usize = BLOCK_ROWS;

const DEPTH: usize = 256;

/** C[4 × 16] (+)= A · B over `count` steps of k, in the form that suits the engine's vectors; both give the same bits. */
export function tile(
  c: usize,
  cRow: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  count: usize,
  add: bool,
): void {
  if (load<u32>(CONTROL_WIDE)) return wideTile(c, cRow, a, aRow, aStep, b, bStep, count, add);
  narrowTile(c, cRow, a, aRow, aStep, b, bStep, count, add);
  narrowTile(c + 32, cRow, a, aRow, aStep, b + 32, bStep, count, add);
}

/** For 128-bit registers, of which there are 16: half of the tile, C[4 × 8]. */
function narrowTile(
  c: usize,
  cRow: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  count: usize,
  add: bool,
): void {
  let a1 = a + aRow;
  let a2 = a1 + aRow;
  let a3 = a2 + aRow;
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  for (let k: usize = 0; k < count; k++) {
    const b0 = v128.load(b, 0);
    const b1 = v128.load(b, 16);
    let s = v128.load32_splat(a);
    c00 = madd(s, b0, c00);
    c01 = madd(s, b1, c01);
    s = v128.load32_splat(a1);
    c10 = madd(s, b0, c10);
    c11 = madd(s, b1, c11);
    s = v128.load32_splat(a2);
    c20 = madd(s, b0, c20);
    c21 = madd(s, b1, c21);
    s = v128.load32_splat(a3);
    c30 = madd(s, b0, c30);
    c31 = madd(s, b1, c31);
    a += aStep;
    a1 += aStep;
    a2 += aStep;
    a3 += aStep;
    b += bStep;
  }
  const c1 = c + cRow;
  const c2 = c1 + cRow;
  const c3 = c2 + cRow;
  if (add) {
    c00 = f32x4.add(c00, v128.load(c, 0));
    c01 = f32x4.add(c01, v128.load(c, 16));
    c10 = f32x4.add(c10, v128.load(c1, 0));
    c11 = f32x4.add(c11, v128.load(c1, 16));
    c20 = f32x4.add(c20, v128.load(c2, 0));
    c21 = f32x4.add(c21, v128.load(c2, 16));
    c30 = f32x4.add(c30, v128.load(c3, 0));
    c31 = f32x4.add(c31, v128.load(c3, 16));
  }
  v128.store(c, c00, 0);
  v128.store(c, c01, 16);
  v128.store(c1, c10, 0);
  v128.store(c1, c11, 16);
  v128.store(c2, c20, 0);
  v128.store(c2, c21, 16);
  v128.store(c3, c30, 0);
  v128.store(c3, c31, 16);
}

/** For engines that join neighbouring 128-bit operations: eight 256-bit accumulators. C[4 × 16] (+)= A · B over `count` steps of k. `aRow`, `aStep`, `bStep`, `cRow` are bytes from one row or step to the next. */
function wideTile(
  c: usize,
  cRow: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  count: usize,
  add: bool,
): void {
  let a1 = a + aRow;
  let a2 = a1 + aRow;
  let a3 = a2 + aRow;
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c02 = f32x4.splat(0), c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0), c12 = f32x4.splat(0), c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c22 = f32x4.splat(0), c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0), c32 = f32x4.splat(0), c33 = f32x4.splat(0);
  for (let k: usize = 0; k < count; k++) {
    const b0 = v128.load(b, 0);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let s = v128.load32_splat(a);
    c00 = madd(s, b0, c00);
    c01 = madd(s, b1, c01);
    c02 = madd(s, b2, c02);
    c03 = madd(s, b3, c03);
    s = v128.load32_splat(a1);
    c10 = madd(s, b0, c10);
    c11 = madd(s, b1, c11);
    c12 = madd(s, b2, c12);
    c13 = madd(s, b3, c13);
    s = v128.load32_splat(a2);
    c20 = madd(s, b0, c20);
    c21 = madd(s, b1, c21);
    c22 = madd(s, b2, c22);
    c23 = madd(s, b3, c23);
    s = v128.load32_splat(a3);
    c30 = madd(s, b0, c30);
    c31 = madd(s, b1, c31);
    c32 = madd(s, b2, c32);
    c33 = madd(s, b3, c33);
    a += aStep;
    a1 += aStep;
    a2 += aStep;
    a3 += aStep;
    b += bStep;
  }
  const c1 = c + cRow;
  const c2 = c1 + cRow;
  const c3 = c2 + cRow;
  if (add) {
    c00 = f32x4.add(c00, v128.load(c, 0));
    c01 = f32x4.add(c01, v128.load(c, 16));
    c02 = f32x4.add(c02, v128.load(c, 32));
    c03 = f32x4.add(c03, v128.load(c, 48));
    c10 = f32x4.add(c10, v128.load(c1, 0));
    c11 = f32x4.add(c11, v128.load(c1, 16));
    c12 = f32x4.add(c12, v128.load(c1, 32));
    c13 = f32x4.add(c13, v128.load(c1, 48));
    c20 = f32x4.add(c20, v128.load(c2, 0));
    c21 = f32x4.add(c21, v128.load(c2, 16));
    c22 = f32x4.add(c22, v128.load(c2, 32));
    c23 = f32x4.add(c23, v128.load(c2, 48));
    c30 = f32x4.add(c30, v128.load(c3, 0));
    c31 = f32x4.add(c31, v128.load(c3, 16));
    c32 = f32x4.add(c32, v128.load(c3, 32));
    c33 = f32x4.add(c33, v128.load(c3, 48));
  }
  v128.store(c, c00, 0);
  v128.store(c, c01, 16);
  v128.store(c, c02, 32);
  v128.store(c, c03, 48);
  v128.store(c1, c10, 0);
  v128.store(c1, c11, 16);
  v128.store(c1, c12, 32);
  v128.store(c1, c13, 48);
  v128.store(c2, c20, 0);
  v128.store(c2, c21, 16);
  v128.store(c2, c22, 32);
  v128.store(c2, c23, 48);
  v128.store(c3, c30, 0);
  v128.store(c3, c31, 16);
  v128.store(c3, c32, 32);
  v128.store(c3, c33, 48);
}

/** Arguments: packed A, packed B, C, bytes of a row of C, M, N, K, add (0: overwrite C), edge scratch. Unit = one block of C. */
export function gemm(first: i32, last: i32, thread: i32): void {
  const M = arg(4);
  const N = arg(5);
  const K = arg(6);
  const columnBlocks = (N + WIDE - 1) / WIDE;
  const edge = arg(8) + <usize>(thread * EDGE_BYTES);
  for (let unit: usize = first; unit < <usize>last; unit++) {
    const row = (unit / columnBlocks) * TALL;
    const column = (unit % columnBlocks) * WIDE;
    block(row, min<usize>(M, row + TALL), column, min<usize>(N, column + WIDE), K, edge);
  }
}

function block(row: usize, rowEnd: usize, column: usize, columnEnd: usize, K: usize, edge: usize): void {
  const a = arg(0);
  const b = arg(1);
  const c = arg(2);
  const cRow = arg(3);
  for (let k: usize = 0; k < K; k += DEPTH) {
    const count = min(DEPTH, K - k);
    const add = k > 0 || arg(7) != 0;
    for (let j = column; j < columnEnd; j += COLUMNS) {
      const panelB = b + (j * K + k * COLUMNS) * 4;
      for (let i = row; i < rowEnd; i += ROWS) {
        const panelA = a + (i * K + k * ROWS) * 4;
        const target = c + i * cRow + j * 4;
        if (i + ROWS <= rowEnd && j + COLUMNS <= columnEnd) {
          tile(target, cRow, panelA, 4, ROWS * 4, panelB, COLUMNS * 4, count, add);
        } else {
          tile(edge, COLUMNS * 4, panelA, 4, ROWS * 4, panelB, COLUMNS * 4, count, false);
          copyEdge(target, cRow, edge, rowEnd - i, columnEnd - j, add);
        }
      }
    }
  }
}

function copyEdge(c: usize, cRow: usize, edge: usize, rows: usize, columns: usize, add: bool): void {
  for (let i: usize = 0; i < min<usize>(rows, ROWS); i++) {
    for (let j: usize = 0; j < min<usize>(columns, COLUMNS); j++) {
      const at = c + i * cRow + j * 4;
      const value = load<f32>(edge + (i * COLUMNS + j) * 4);
      store<f32>(at, add ? load<f32>(at) + value : value);
    }
  }
}

/**
 * Packs a matrix into panels of `width` rows: panel[k][r], zeros below the last row.
 * Arguments: source, target, bytes from row to row, bytes from k to k, rows, K, width. Unit = one panel.
 */
export function gemmPack(first: i32, last: i32): void {
  const rowStride = arg(2);
  const kStride = arg(3);
  const rows = arg(4);
  const K = arg(5);
  const width = arg(6);
  for (let panel: usize = first; panel < <usize>last; panel++) {
    const row = panel * width;
    const source = arg(0) + row * rowStride;
    const target = arg(1) + panel * K * width * 4;
    packPanel(target, source, rowStride, kStride, min(width, rows - row), K, width);
  }
}

export function packPanel(
  target: usize,
  source: usize,
  rowStride: usize,
  kStride: usize,
  rows: usize,
  K: usize,
  width: usize,
): void {
  if (rows < width) return packEdge(target, source, rowStride, kStride, rows, K, width);
  if (rowStride == 4) {
    for (let k: usize = 0; k < K; k++, source += kStride) {
      for (let r: usize = 0; r < width; r += 4, target += 16) v128.store(target, v128.load(source + r * 4));
    }
    return;
  }
  if (kStride != 4) return packEdge(target, source, rowStride, kStride, rows, K, width);
  let k: usize = 0;
  for (; k + 4 <= K; k += 4) {
    for (let r: usize = 0; r < width; r += 4) {
      transpose4(target + (k * width + r) * 4, width * 4, source + r * rowStride + k * 4, rowStride);
    }
  }
  for (; k < K; k++) {
    for (let r: usize = 0; r < width; r++) {
      store<f32>(target + (k * width + r) * 4, load<f32>(source + r * rowStride + k * 4));
    }
  }
}

function packEdge(
  target: usize,
  source: usize,
  rowStride: usize,
  kStride: usize,
  rows: usize,
  K: usize,
  width: usize,
): void {
  for (let k: usize = 0; k < K; k++) {
    for (let r: usize = 0; r < width; r++, target += 4) {
      store<f32>(target, r < rows ? load<f32>(source + r * rowStride + k * kStride) : 0);
    }
  }
}

// @ts-expect-error: decorator
@inline
function transpose4(target: usize, targetRow: usize, source: usize, sourceRow: usize): void {
  const r0 = v128.load(source);
  const r1 = v128.load(source + sourceRow);
  const r2 = v128.load(source + 2 * sourceRow);
  const r3 = v128.load(source + 3 * sourceRow);
  const low01 = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const high01 = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  const low23 = v128.shuffle<f32>(r2, r3, 0, 4, 1, 5);
  const high23 = v128.shuffle<f32>(r2, r3, 2, 6, 3, 7);
  v128.store(target, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
  v128.store(target + targetRow, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
  v128.store(target + 2 * targetRow, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5));
  v128.store(target + 3 * targetRow, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
}
