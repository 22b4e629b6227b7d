import { assert } from '../../base/assert.ts';
import type { Floats } from '../../tensor/tensor.ts';

/**
 * Scales each row to unit root-mean-square, then applies a learned gain per channel.
 *
 *   r_n = 1 / sqrt(mean_d(x_nd²) + eps)        y_nd = gain_d · x_nd · r_n
 *
 * Shapes   x_ND, y_ND, gain_D
 * Numbers  the row sum is f64 (a JS number); results round to the buffers' own dtype.
 * Cost     4·N·D flops over 2·N·D floats moved: bound by memory, not by arithmetic.
 * Source   Zhang & Sennrich 2019, arXiv:1910.07467 eq. 4; eps under the root is LLaMA's addition.
 */
export function rmsNorm(y_ND: Floats, x_ND: Floats, gain_D: Floats, eps: number): void {
  const D = gain_D.length;
  const N = x_ND.length / D;
  assert(y_ND.length === N * D, `rmsNorm: y holds ${y_ND.length} floats, expected N·D = ${N}·${D}`);
  for (let n = 0; n < N; n++) {
    const row = n * D;
    let sumSquares = 0;
    for (let d = 0; d < D; d++) sumSquares += x_ND[row + d]! ** 2;
    const r = 1 / Math.sqrt(sumSquares / D + eps);
    for (let d = 0; d < D; d++) y_ND[row + d] = gain_D[d]! * x_ND[row + d]! * r;
  }
}
