/** Binds a system's CBLAS for the f32 matrix products of training. */
import koffi from 'koffi';
import type { Blas } from '../../kernels/gemm/blas.ts';
import { findNativeLibrary } from './native-library.ts';

const ROW_MAJOR = 101;
const NO_TRANSPOSE = 111;
const TRANSPOSE = 112;

/** A BLAS that uses `threads` threads of its own, or null where none is installed. */
export function loadBlas(threads: number): Blas | null {
  const name = findNativeLibrary('blas');
  if (name === null) return null;
  const library = koffi.load(name);
  const sgemm = library.func(
    'void cblas_sgemm(int order, int transA, int transB, int M, int N, int K, float alpha, ' +
      'const void *a, int lda, const void *b, int ldb, float beta, void *c, int ldc)',
  );
  setThreads(library, threads);
  return {
    description: `${name}, ${threads} ${threads === 1 ? 'thread' : 'threads'}`,
    sgemm({ M, N, K, a, transposeA, aStride, b, transposeB, bStride, beta, c, cStride }) {
      const transA = transposeA ? TRANSPOSE : NO_TRANSPOSE;
      const transB = transposeB ? TRANSPOSE : NO_TRANSPOSE;
      sgemm(ROW_MAJOR, transA, transB, M, N, K, 1, a, aStride, b, bStride, beta, c, cStride);
    },
  };
}

/** Each library has its own name for this; one without it decides by itself. */
function setThreads(library: ReturnType<typeof koffi.load>, threads: number): void {
  for (const symbol of ['openblas_set_num_threads', 'MKL_Set_Num_Threads', 'bli_thread_set_num_threads']) {
    try {
      library.func(`void ${symbol}(int threads)`)(threads);
      return;
    } catch {
      // another library's name
    }
  }
}
