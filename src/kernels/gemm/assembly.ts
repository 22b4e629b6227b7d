// Operands of the f32 products (kernel.ts) are packed into panels: 6 rows of A, 16 columns of B, side by side for each k, for any strides.
import { arg } from '../simd.assembly';
import { PANEL_GROUP, TILE_COLUMNS } from '../training-tasks';

const COLUMNS: usize = TILE_COLUMNS;

/**
 * Packs a matrix into panels of `width` rows: panel[k][r], zeros below the last row.
 * Arguments: source, target, bytes from row to row, bytes from k to k, rows, K, width (6 or 16). Unit = PANEL_GROUP panels.
 */
export function gemmPack(first: i32, last: i32): void {
  const rowStride = arg(2);
  const kStride = arg(3);
  const rows = arg(4);
  const K = arg(5);
  const width = arg(6);
  const panels = (rows + width - 1) / width;
  let panel = <usize>first * PANEL_GROUP;
  const end = min<usize>(panels, <usize>last * PANEL_GROUP);
  const whole = rowStride == 4 ? min<usize>(end, rows / width) : panel;
  if (panel < whole) {
    packColumns(arg(1) + panel * K * width * 4, arg(0) + panel * width * 4, kStride, whole - panel, K, width);
    panel = whole;
  }
  for (; panel < end; panel++) {
    const row = panel * width;
    const source = arg(0) + row * rowStride;
    packPanel(arg(1) + panel * K * width * 4, source, rowStride, kStride, min(width, rows - row), K, width);
  }
}

/** Several whole panels of a matrix whose rows lie side by side: every line of memory is read once, from start to end. */
function packColumns(target: usize, source: usize, kStride: usize, panels: usize, K: usize, width: usize): void {
  const panelBytes = K * width * 4;
  for (let k: usize = 0; k < K; k++, source += kStride, target += width * 4) {
    let from = source;
    for (let panel: usize = 0, to = target; panel < panels; panel++, to += panelBytes, from += width * 4) {
      v128.store(to, v128.load(from));
      if (width == COLUMNS) {
        v128.store(to, v128.load(from, 16), 16);
        v128.store(to, v128.load(from, 32), 32);
        v128.store(to, v128.load(from, 48), 48);
      } else store<u64>(to, load<u64>(from, 16), 16);
    }
  }
}

/** One panel; `rows` of its `width` rows exist. */
export function packPanel(
  target: usize,
  source: usize,
  rowStride: usize,
  kStride: usize,
  rows: usize,
  K: usize,
  width: usize,
): void {
  if (rows < width || kStride != 4) return packEdge(target, source, rowStride, kStride, rows, K, width);
  const row = width * 4;
  let k: usize = 0;
  for (; k + 4 <= K; k += 4, target += 4 * row, source += 16) {
    let r: usize = 0;
    for (; r + 4 <= width; r += 4) transpose4(target + r * 4, row, source + r * rowStride, rowStride);
    if (r < width) transpose2(target + r * 4, row, source + r * rowStride, rowStride);
  }
  for (; k < K; k++, source += 4) {
    for (let r: usize = 0; r < width; r++, target += 4) store<f32>(target, load<f32>(source + r * rowStride));
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

// @ts-expect-error: decorator
@inline
function transpose2(target: usize, targetRow: usize, source: usize, sourceRow: usize): void {
  const r0 = v128.load(source);
  const r1 = v128.load(source + sourceRow);
  const low = v128.shuffle<f32>(r0, r1, 0, 4, 1, 5);
  const high = v128.shuffle<f32>(r0, r1, 2, 6, 3, 7);
  v128.store64_lane(target, low, 0);
  v128.store64_lane(target + targetRow, low, 1);
  v128.store64_lane(target + 2 * targetRow, high, 0);
  v128.store64_lane(target + 3 * targetRow, high, 1);
}
