import type { Gemm } from '../../../kernels/gemm/blas.ts';

type Numbers = Float32Array | Uint16Array;

/** A product as C libraries take it: a transposed matrix is stored with its columns as rows, `stride` numbers apart. */
export type Product<N extends Numbers> = (
  sizes: readonly [M: number, N: number, K: number],
  a: { readonly numbers: N; readonly isTransposed: boolean; readonly stride: number },
  b: { readonly numbers: N; readonly isTransposed: boolean; readonly stride: number },
  beta: number,
  c: Float32Array,
  cStride: number,
) => void;

/** The import of the kernels (Gemm) by a library's product: places in a memory become views of it. */
export function withinMemory<N extends Numbers>(
  memory: WebAssembly.Memory,
  view: (buffer: ArrayBufferLike, offset: number, count: number) => N,
  product: Product<N>,
): Gemm {
  return (M, N, K, a, aRow, aColumn, b, bRow, bColumn, beta, c, cRow) => {
    const { buffer } = memory; // the memory may have grown
    const side = (pointer: number, rows: number, columns: number, row: number, column: number) => ({
      numbers: view(buffer, pointer >>> 0, (rows - 1) * row + (columns - 1) * column + 1),
      isTransposed: column !== 1,
      // The stride of a single row is never used, but libraries want it to be no less than the row's length.
      stride:
        column === 1 ? (rows === 1 ? Math.max(row, columns) : row) : columns === 1 ? Math.max(column, rows) : column,
    });
    const target = new Float32Array(buffer, c >>> 0, (M - 1) * cRow + N);
    product([M, N, K], side(a, M, K, aRow, aColumn), side(b, K, N, bRow, bColumn), beta, target, cRow);
  };
}
