/** Binds a system's CBLAS for f32 matrix products. The threads of the wasm device's team call it, so that its own are turned off. */
import type { Blas } from '../../../kernels/gemm/blas.ts';
import { type BlasLibrary, openBlasLibrary } from './blas-library.ts';

const ROW_MAJOR = 101;
const NO_TRANSPOSE = 111;
const TRANSPOSE = 112;

/** The system's BLAS, or null where none is installed that is faster than our own kernels (blasProblem says why). */
export function loadBlas(): Blas | null {
  const found = openBlasLibrary();
  if (found === null || found.problem !== null) return null;
  const { library, description } = found;
  const sgemm = library.func(
    'void cblas_sgemm(int order, int transA, int transB, int M, int N, int K, float alpha, ' +
      'const void *a, int lda, const void *b, int ldb, float beta, void *c, int ldc)',
  );
  useOneThread(library);
  return {
    description,
    sgemm: (memory) => (M, N, K, a, aRow, aColumn, b, bRow, bColumn, beta, c, cRow) => {
      const { buffer } = memory; // the memory may have grown
      const extent = (rows: number, columns: number, row: number, column: number) =>
        (rows - 1) * row + (columns - 1) * column + 1;
      const aNumbers = new Float32Array(buffer, a >>> 0, extent(M, K, aRow, aColumn));
      const bNumbers = new Float32Array(buffer, b >>> 0, extent(K, N, bRow, bColumn));
      const cNumbers = new Float32Array(buffer, c >>> 0, extent(M, N, cRow, 1));
      const [transA, aStride] = aColumn === 1 ? [NO_TRANSPOSE, aRow] : [TRANSPOSE, aColumn];
      const [transB, bStride] = bColumn === 1 ? [NO_TRANSPOSE, bRow] : [TRANSPOSE, bColumn];
      sgemm(ROW_MAJOR, transA, transB, M, N, K, 1, aNumbers, aStride, bNumbers, bStride, beta, cNumbers, cRow);
    },
  };
}

/** Why a BLAS that is asked for is not used; null when it is. */
export function blasProblem(): string | null {
  const found = openBlasLibrary();
  return found === null ? 'none is installed' : found.problem;
}

/** Each library has its own name for this; Accelerate has none and decides by itself. */
function useOneThread(library: BlasLibrary['library']): void {
  for (const symbol of ['openblas_set_num_threads', 'MKL_Set_Num_Threads', 'bli_thread_set_num_threads']) {
    try {
      library.func(`void ${symbol}(int threads)`)(1);
      return;
    } catch {
      // another library's name
    }
  }
}
