/** Which of the system's libraries multiplies matrices: a BLAS in f32, oneDNN in bf16. */
import { UnsupportedError } from '../../../base/errors.ts';
import type { Blas, BlasOperands } from '../../../kernels/gemm/blas.ts';
import { loadBlas } from './blas.ts';
import { loadOneDnn } from './onednn.ts';

export function loadProducts(operands: BlasOperands): Blas | null {
  return operands === 'f32' ? loadBlas() : loadOneDnn();
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
