/** Which of the system's libraries multiplies matrices: a BLAS in f32, oneDNN in bf16. */
import { UnsupportedError } from '../../../base/errors.ts';
import type { Blas, BlasOperands } from '../../../kernels/gemm/blas.ts';
import { loadBlas } from './blas.ts';
import { ffi } from './ffi.ts';
import { loadOneDnn } from './onednn.ts';

/** The products of these operands; null where the first cannot be had. */
export function loadProducts([first, second]: readonly BlasOperands[]): Blas | null {
  const found = first === 'f32' ? loadBlas() : loadOneDnn();
  const half = found && second === 'bf16' ? loadOneDnn() : null;
  if (!half) return found;
  const description = `${found!.description}, quantized and bf16 weights by ${half.description}`;
  return { ...found, bgemm: half.bgemm, description };
}

/** oneDNN where a recipe asks for it. Throws UnsupportedError `native.ffi`, `training.products` where it cannot be had. */
export function needBf16(): Blas {
  ffi();
  const products = loadOneDnn();
  if (products) return products;
  throw new UnsupportedError(
    'training.products',
    'training.products is bf16: expected oneDNN (libdnnl) and a processor that it multiplies bf16 on, found no such pair. Install it (Debian: libdnnl2), or train with training.products=f32.',
  );
}
