// `linear` by the system's BLAS, for many activation rows: weights are unpacked to f32 or bf16 a tile at a time, into scratch that fits
// the second cache, and every tile is one product. The sums are the library's own, so the bits are.
import { bgemm, sgemm } from '../gemm/blas.assembly';
import { upper } from '../gemm/round.assembly';
import { arg } from '../simd.assembly';
import { BLAS_GAP } from '../tasks';
import { unpackColumns } from './unpack-columns.assembly';

/**
 * Arguments: 0 kind, 1 packed w, 2 columns, 3 rows of w (O), 4 x, 5 N, 6 rows of a tile (whole panels), 7 y, 8 bias (0: none), 9 scratch,
 * 10 scratch bytes a thread, 11 columns that are unpacked at a time (whole super-blocks), 12 whether x and the unpacked weights are bf16.
 * Scratch: the tile's columns with their gaps; for bf16, then a panel of f32. Unit = one tile of w.
 */
export function linearBlas(first: i32, last: i32, thread: i32): void {
  const kind = <i32>arg(0);
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
      for (let r: usize = 0; r < rows; r += 8) {
        const panel = (row + r) >> 3;
        if (isHalf) {
          unpackColumns(kind, arg(1), panel, columns, from, to, wide, 32);
          roundColumns(scratch + r * 2, wide, wide + (to - from) * 32, stride * 2);
        } else {
          unpackColumns(kind, arg(1), panel, columns, from, to, scratch + r * 4, stride * 4);
        }
      }
      const beta = from > 0 || arg(8) != 0 ? 1 : 0;
      const x = arg(4) + from * (isHalf ? 2 : 4);
      const N = <i32>arg(5);
      const count = <i32>(to - from);
      if (isHalf) bgemm(N, <i32>rows, count, x, <i32>columns, 1, scratch, <i32>stride, 1, beta, y, <i32>O);
      else sgemm(N, <i32>rows, count, x, <i32>columns, 1, scratch, <i32>stride, 1, beta, y, <i32>O);
    }
  }
}

/** An f32 panel as bf16, 8 numbers a column. */
function roundColumns(out: usize, wide: usize, end: usize, stride: usize): void {
  for (; wide < end; wide += 32, out += stride) {
    v128.store(out, i16x8.narrow_i32x4_s(upper(v128.load(wide)), upper(v128.load(wide, 16))));
  }
}

function fillBias(y: usize, bias: usize, rows: usize, O: usize): void {
  for (let n = arg(5); n > 0; n--, y += O * 4) memory.copy(y, bias, rows * 4);
}
