/**
 * Binds oneDNN's product of bf16 matrices, summed in f32: on processors with bf16 units several times as fast as one of f32. The threads
 * of the wasm device's team call it, so that its own are turned off.
 */

import { assert } from '../../../base/assert.ts';
import type { Blas } from '../../../kernels/gemm/blas.ts';
import { withEnvironment } from './environment.ts';
import { ffi } from './ffi.ts';
import { nativeCandidates } from './native-library.ts';
import { withinMemory } from './within-memory.ts';

const PRODUCT =
  'int dnnl_gemm_bf16bf16f32(char transA, char transB, int64_t M, int64_t N, int64_t K, float alpha, ' +
  'const void *a, int64_t lda, const void *b, int64_t ldb, float beta, void *c, int64_t ldc)';
const [PLAIN, TRANSPOSED] = ['N', 'T'].map((letter) => letter.charCodeAt(0));

/** The products, or null where oneDNN is not installed or has none for this processor. CRIA_ONEDNN_LIBRARY names one that is elsewhere. */
export function loadOneDnn(env: Readonly<Record<string, string | undefined>> = process.env): Blas | null {
  const named = env.CRIA_ONEDNN_LIBRARY;
  for (const name of named ? [named] : nativeCandidates.onednn) {
    try {
      const library = withEnvironment({ OMP_NUM_THREADS: '1' }, () => ffi().load(name));
      const products = bind(name, library.func(PRODUCT));
      if (multiplies(products)) return products;
    } catch {
      // not here, or without the symbol: the next one may do
    }
  }
  return null;
}

function bind(name: string, gemm: (...values: unknown[]) => unknown): Blas {
  return {
    description: `${name} in bf16`,
    bgemm: (memory) =>
      withinMemory(
        memory,
        (...place) => new Uint16Array(...place),
        ([M, N, K], a, b, beta, c, cStride) => {
          const [transA, transB] = [a, b].map(({ isTransposed }) => (isTransposed ? TRANSPOSED : PLAIN));
          const status = gemm(transA, transB, M, N, K, 1, a.numbers, a.stride, b.numbers, b.stride, beta, c, cStride);
          assert(status === 0, `${name}: a product of ${M} × ${N} × ${K} bf16 numbers ended with status ${status}`);
        },
      ),
  };
}

/** oneDNN refuses bf16 on processors that it has no kernel for. */
function multiplies(products: Blas): boolean {
  const memory = new WebAssembly.Memory({ initial: 1 });
  const [three, two, sum] = [0x4040, 0x4000, new Float32Array(memory.buffer, 8, 1)];
  new Uint16Array(memory.buffer).set([three, two]);
  products.bgemm!(memory)(1, 1, 1, 0, 1, 1, 2, 1, 1, 0, 8, 1);
  return sum[0] === 6;
}
