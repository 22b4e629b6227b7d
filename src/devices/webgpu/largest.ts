import { assert } from '../../base/assert.ts';
import { LARGEST_PART, largest, MOST_LARGEST } from '../../kernels/largest/webgpu.ts';
import { columnCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { Context } from './context.ts';
import { type GpuTensor, gpuTensor } from './tensors.ts';

/** The k largest numbers of each row, each followed by its place: [R, 2k]. */
export function largestOf(context: Context, x: Tensor, k: number): GpuTensor {
  const R = rowCount(x.shape);
  let V = columnCount(x.shape);
  assert(k >= 1 && k <= Math.min(V, MOST_LARGEST), `largest: ${k} of ${V}, expected 1 … ${MOST_LARGEST}`);
  let from = gpuTensor(x).region;
  for (let pass: 'first' | 'next' = 'first'; ; pass = 'next') {
    const parts = Math.ceil(V / LARGEST_PART);
    const y = context.scratch([R, 2 * k * parts]);
    const bytes = R * (V + 2 * k * parts) * 4;
    context.queue.dispatch(largest(pass), { x_RV: from, y_RK: y.region }, { V, k, parts }, R * parts, bytes);
    if (parts === 1) return y;
    [from, V] = [y.region, k * parts];
  }
}
