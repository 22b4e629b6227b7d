/** Which of the system's libraries multiplies matrices: a BLAS in f32, oneDNN in bf16. */
import { UnsupportedError } from '../../../base/errors.ts';
import type { Blas, BlasOperands } from '../../../kernels/gemm/blas.ts';
import { loadBlas } from './blas.ts';
import { loadOneDnn } from './onednn.ts';

export function loadProducts(operands: BlasOperands | 'both'): Blas | null {
  if (operands === 'bf16') return loadOneDnn();
  const blas = loadBlas();
  return blas && operands === 'both' ? { ...blas, half: loadOneDnn() ?? undefined } : blas;
}

/** oneDNN where a recipe asks for it. Throws UnsupportedError `training.products` where it cannot be had. */
export function needBf16(): Blas {
  const products = loadOneDnn();
  if (products) return products;
  throw new UnsupportedError(
    'training.products',
    'training.products is bf16: expected oneDNN (libdnnl) and a processor that it multiplies bf16 on, found no such pair. Install it (Debian: libdnnl2), or train with training.products=f32.',
  );
}
