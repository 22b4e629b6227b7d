// `linear` by the system's BLAS, for many activation rows: weights are unpacked to f32 or bf16 a tile at a time, into scratch that fits
// the second cache, and every tile is one product. The sums are the library's own, so the bits are.
import { bgemm, sgemm } from '../gemm/blas.assembly';
import { upper } from '../gemm/round.assembly';
import { arg } from '../simd.assembly';
import { BLAS_COLUMNS, BLAS_GAP, PACK_BF16 } from '../tasks';
import { columnBytes, floatsAt, groupPanels } from './layout.assembly';
import { unpackColumns } from './unpack-columns.assembly';

/**
 * Arguments: 0 kind, 1 packed w, 2 columns, 3 rows of w (O), 4 x, 5 N, 6 rows of a tile (whole groups), 7 y, 8 bias (0: none), 9 scratch,
 * 10 scratch bytes a thread, 11 columns of a product (whole super-blocks), 12 whether x and the unpacked weights are bf16.
 * Scratch: the tile's columns with their gaps; for bf16, then BLAS_COLUMNS of a group in f32. Unit = one tile of w.
 */
export function linearBlas(first: i32, last: i32, thread: i32): void {
  const columns = arg(2);
  const O = arg(3);
  const tileRows = arg(6);
  const depth = arg(11);
  const isHalf = arg(12) != 0;
  const stride = tileRows + BLAS_GAP;
  const scratch = arg(9) + <usize>thread * arg(10);
  const wide = scratch + depth * stride * 2;
  for (let unit: usize = first; unit < <usize>last; unit++) {
    const row = unit * tileRows;
    const rows = min(tileRows, O - row);
    const y = arg(7) + row * 4;
    if (arg(8) != 0) fillBias(y, arg(8) + row * 4, rows, O);
    for (let from: usize = 0; from < columns; from += depth) {
      const to = min(from + depth, columns);
      if (isHalf) halfTile(scratch, stride, row >> 3, rows, from, to, wide);
      else floatTile(scratch, stride, row >> 3, rows, from, to);
      const beta = from > 0 || arg(8) != 0 ? 1 : 0;
      const x = arg(4) + from * (isHalf ? 2 : 4);
      const N = <i32>arg(5);
      const count = <i32>(to - from);
      if (isHalf) bgemm(N, <i32>rows, count, x, <i32>columns, 1, scratch, <i32>stride, 1, beta, y, <i32>O);
      else sgemm(N, <i32>rows, count, x, <i32>columns, 1, scratch, <i32>stride, 1, beta, y, <i32>O);
    }
  }
}

/** Columns from … to − 1 of a tile that begins with `panel`, as f32: groups that begin in it are unpacked whole. */
function floatTile(out: usize, stride: usize, panel: usize, rows: usize, from: usize, to: usize): void {
  const kind = <i32>arg(0);
  const panels = groupPanels(kind);
  for (let end = panel + ((rows + 7) >> 3); panel < end; panel += panels, out += panels * 32) {
    for (let c = from; c < to; c += BLAS_COLUMNS) {
      const at = out + (c - from) * stride * 4;
      const last = min(c + BLAS_COLUMNS, to);
      for (let p: usize = 0; p < panels; p++) unpackColumns(kind, arg(1), panel + p, arg(2), c, last, at + p * 32, stride * 4);
    }
  }
}

/** The same as bf16. */
function halfTile(out: usize, stride: usize, panel: usize, rows: usize, from: usize, to: usize, wide: usize): void {
  const kind = <i32>arg(0);
  const columns = arg(2);
  const panels = groupPanels(kind);
  for (let end = panel + ((rows + 7) >> 3); panel < end; panel += panels, out += panels * 16) {
    if (kind == PACK_BF16) {
      let w = arg(1) + floatsAt(kind, columns, panel) + from * columnBytes(kind);
      for (let c = from, at = out; c < to; c++, at += stride * 2, w += columnBytes(kind)) memory.copy(at, w, columnBytes(kind));
      continue;
    }
    const bytes = panels * 32;
    for (let c = from; c < to; c += BLAS_COLUMNS) {
      const last = min(c + BLAS_COLUMNS, to);
      for (let p: usize = 0; p < panels; p++) unpackColumns(kind, arg(1), panel + p, columns, c, last, wide + p * 32, bytes);
      roundColumns(out + (c - from) * stride * 2, stride * 2, wide, bytes, last - c);
    }
  }
}

/** Columns of f32, `bytes` each (whole pairs of panels), as bf16. */
function roundColumns(out: usize, stride: usize, wide: usize, bytes: usize, columns: usize): void {
  for (; columns > 0; columns--, out += stride) {
    for (let to = out, end = wide + bytes; wide < end; wide += 64, to += 32) {
      const a = i16x8.narrow_i32x4_s(upper(v128.load(wide)), upper(v128.load(wide, 16)));
      const b = i16x8.narrow_i32x4_s(upper(v128.load(wide, 32)), upper(v128.load(wide, 48)));
      v128.store(to, a);
      v128.store(to, b, 16);
    }
  }
}

function fillBias(y: usize, bias: usize, rows: usize, O: usize): void {
  for (let n = arg(5); n > 0; n--, y += O * 4) memory.copy(y, bias, rows * 4);
}
