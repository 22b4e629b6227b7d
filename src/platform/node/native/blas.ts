/** Binds a system's CBLAS for f32 matrix products. The threads of the wasm device's team call it, so that its own are turned off. */
import type { Blas } from '../../../kernels/gemm/blas.ts';
import { type BlasLibrary, openBlasLibrary } from './blas-library.ts';
import { findFfi, noFfi } from './ffi.ts';
import { withinMemory } from './within-memory.ts';

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
    sgemm: (memory) =>
      withinMemory(
        memory,
        (...place) => new Float32Array(...place),
        ([M, N, K], a, b, beta, c, cStride) => {
          const [transA, transB] = [a, b].map(({ isTransposed }) => (isTransposed ? TRANSPOSE : NO_TRANSPOSE));
          sgemm(ROW_MAJOR, transA, transB, M, N, K, 1, a.numbers, a.stride, b.numbers, b.stride, beta, c, cStride);
        },
      ),
  };
}

/** Why a BLAS that is asked for is not used; null when it is. */
export function blasProblem(): string | null {
  if (findFfi() === null) return noFfi;
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
