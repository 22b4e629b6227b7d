/** Binds a system's CBLAS for the f32 matrix products of training. */
import type { Blas } from '../../../kernels/gemm/blas.ts';
import { type BlasLibrary, openBlasLibrary } from './blas-library.ts';

const ROW_MAJOR = 101;
const NO_TRANSPOSE = 111;
const TRANSPOSE = 112;

/** A BLAS that uses `threads` threads of its own, or null where none is installed that is faster than our own kernels. */
export function loadBlas(threads: number): Blas | null {
  const found = openBlasLibrary();
  if (found === null || found.problem !== null) return null;
  const { library } = found;
  const sgemm = library.func(
    'void cblas_sgemm(int order, int transA, int transB, int M, int N, int K, float alpha, ' +
      'const void *a, int lda, const void *b, int ldb, float beta, void *c, int ldc)',
  );
  setThreads(library, threads);
  return {
    description: `${found.description}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    sgemm({ M, N, K, a, transposeA, aStride, b, transposeB, bStride, beta, c, cStride }) {
      const transA = transposeA ? TRANSPOSE : NO_TRANSPOSE;
      const transB = transposeB ? TRANSPOSE : NO_TRANSPOSE;
      sgemm(ROW_MAJOR, transA, transB, M, N, K, 1, a, aStride, b, bStride, beta, c, cStride);
    },
  };
}

/** Why training does without a BLAS that is asked for; null when it uses one. */
export function blasProblem(): string | null {
  const found = openBlasLibrary();
  return found === null ? 'none is installed' : found.problem;
}

/** Each library has its own name for this; one without it decides by itself. */
function setThreads(library: BlasLibrary['library'], threads: number): void {
  for (const symbol of ['openblas_set_num_threads', 'MKL_Set_Num_Threads', 'bli_thread_set_num_threads']) {
    try {
      library.func(`void ${symbol}(int threads)`)(threads);
      return;
    } catch {
      // another library's name
    }
  }
}
