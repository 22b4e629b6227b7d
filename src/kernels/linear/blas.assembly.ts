// `linear` by the system's BLAS, for many activation rows: weights are unpacked to f32 a tile at a time, into scratch that fits the
// second cache, and every tile is one product. The sums are the library's own, so the bits are.
import { sgemm } from '../gemm/blas.assembly';
import { arg } from '../simd.assembly';
import { BLAS_DEPTH, BLAS_GAP } from '../tasks';
import { panelBytes } from './layout.assembly';
import { unpackColumns } from './unpack-columns.assembly';

/**
 * Arguments: 0 kind, 1 packed w, 2 columns, 3 rows of w (O), 4 x, 5 N, 6 rows of a tile (whole panels), 7 y, 8 bias (0: none), 9 scratch,
 * 10 scratch bytes a thread (BLAS_DEPTH columns of a tile, with their gaps). Unit = one tile of w.
 */
export function linearBlas(first: i32, last: i32, thread: i32): void {
  const kind = <i32>arg(0);
  const columns = arg(2);
  const O = arg(3);
  const tileRows = arg(6);
  const stride = tileRows + BLAS_GAP;
  const bytes = panelBytes(kind, columns);
  const scratch = arg(9) + <usize>thread * arg(10);
  for (let unit: usize = first; unit < <usize>last; unit++) {
    const row = unit * tileRows;
    const rows = min(tileRows, O - row);
    const y = arg(7) + row * 4;
    if (arg(8) != 0) fillBias(y, arg(8) + row * 4, rows, O);
    for (let from: usize = 0; from < columns; from += BLAS_DEPTH) {
      const to = min(from + BLAS_DEPTH, columns);
      for (let r: usize = 0; r < rows; r += 8) {
        unpackColumns(kind, arg(1) + ((row + r) >> 3) * bytes, columns, from, to, scratch + r * 4, stride * 4);
      }
      const beta = from > 0 || arg(8) != 0 ? 1 : 0;
      const x = arg(4) + from * 4;
      const depth = <i32>(to - from);
      sgemm(<i32>arg(5), <i32>rows, depth, x, <i32>columns, 1, scratch, <i32>stride, 1, beta, y, <i32>O);
    }
  }
}

function fillBias(y: usize, bias: usize, rows: usize, O: usize): void {
  for (let n = arg(5); n > 0; n--, y += O * 4) memory.copy(y, bias, rows * 4);
}
