// Matrix products by the system's BLAS (blas.ts), shared out among the team: each thread calls it, single-threaded, on tiles of its own.
import { arg } from '../simd.assembly';

/** C [M × N] = A · B + beta · C, in the running instance's memory; the strides as `Sgemm` of blas.ts has them. */
@external('env', 'sgemm')
export declare function sgemm(
  M: i32,
  N: i32,
  K: i32,
  a: usize,
  aRow: i32,
  aStep: i32,
  b: usize,
  bStep: i32,
  bColumn: i32,
  beta: i32,
  c: usize,
  cRow: i32,
): void;

/** The same where A and B are bf16. */
@external('env', 'bgemm')
export declare function bgemm(
  M: i32,
  N: i32,
  K: i32,
  a: usize,
  aRow: i32,
  aStep: i32,
  b: usize,
  bStep: i32,
  bColumn: i32,
  beta: i32,
  c: usize,
  cRow: i32,
): void;

/**
 * C [M × N] (+)= A · Bᵀ, where B is given as its N rows. Arguments: 0 C, 1 M, 2 N, 3 K, 4 A, 5 and 6 its strides along rows and along k,
 * 7 B, 8 and 9 likewise, 10 add, 11 rows of a tile, 12 columns of a tile,
 * 13 bytes of a number of A and B; strides in numbers. Unit = one tile of C.
 */
export function gemmBlas(first: i32, last: i32): void {
  const M = <i32>arg(1);
  const N = <i32>arg(2);
  const aRow = arg(5);
  const bColumn = arg(8);
  const rows = <i32>arg(11);
  const columns = <i32>arg(12);
  const size = arg(13);
  const across = (N + columns - 1) / columns;
  for (let unit = first; unit < last; unit++) {
    const m = (unit / across) * rows;
    const n = (unit % across) * columns;
    sgemm(
      min(rows, M - m),
      min(columns, N - n),
      <i32>arg(3),
      arg(4) + <usize>m * aRow * size,
      <i32>aRow,
      <i32>arg(6),
      arg(7) + <usize>n * bColumn * size,
      <i32>arg(9),
      <i32>bColumn,
      <i32>arg(10),
      arg(0) + (<usize>m * N + n) * 4,
      N,
    );
  }
}
