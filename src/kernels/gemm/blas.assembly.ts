// Matrix products by the system's BLAS (blas.ts), shared out among the team: each thread calls it, single-threaded, on tiles of its own.
import { arg } from '../simd.assembly';

/** C [M × N] = A · B + beta · C, in the running instance's memory; the strides as `Gemm` of blas.ts has them. */
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
 * 7 B, 8 and 9 likewise, 10 add, 11 rows of a tile, 12 columns of a tile, 13 bytes of a number of A and B (4: f32, 2: bf16), 14 C's stride
 * along rows; strides in numbers. Unit = one tile of C.
 */
export function gemmBlas(first: i32, last: i32): void {
  const M = <i32>arg(1);
  const N = <i32>arg(2);
  const K = <i32>arg(3);
  const aRow = arg(5);
  const aStep = <i32>arg(6);
  const bColumn = arg(8);
  const bStep = <i32>arg(9);
  const add = <i32>arg(10);
  const rows = <i32>arg(11);
  const columns = <i32>arg(12);
  const size = arg(13);
  const cRow = <i32>arg(14);
  const across = (N + columns - 1) / columns;
  for (let unit = first; unit < last; unit++) {
    const m = (unit / across) * rows;
    const n = (unit % across) * columns;
    const tileM = min(rows, M - m);
    const tileN = min(columns, N - n);
    const a = arg(4) + <usize>m * aRow * size;
    const b = arg(7) + <usize>n * bColumn * size;
    const c = arg(0) + (<usize>m * cRow + n) * 4;
    if (size == 2) bgemm(tileM, tileN, K, a, <i32>aRow, aStep, b, bStep, <i32>bColumn, add, c, cRow);
    else sgemm(tileM, tileN, K, a, <i32>aRow, aStep, b, bStep, <i32>bColumn, add, c, cRow);
  }
}
