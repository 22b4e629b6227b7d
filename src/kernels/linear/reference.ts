import { assert } from '../../base/assert.ts';
import type { Floats } from '../../tensor/tensor.ts';

/**
 * A linear layer: y = x · Wᵀ + b.
 *
 *   y_no = Σ_i x_ni · w_oi + b_o
 *
 * Shapes   y_NO, x_NI, w_OI, bias_O (null: none)
 * Numbers  the sum is f64 (a JS number).
 * Cost     2·N·I·O flops; at N = 1 bound by reading w once.
 */
export function linear(y_NO: Floats, x_NI: Floats, w_OI: Floats, bias_O: Floats | null, I: number): void {
  const N = x_NI.length / I;
  const O = w_OI.length / I;
  assert(y_NO.length === N * O, `linear: y holds ${y_NO.length} floats, expected N·O = ${N}·${O}`);
  for (let n = 0; n < N; n++) {
    for (let o = 0; o < O; o++) {
      let sum = 0;
      for (let i = 0; i < I; i++) sum += x_NI[n * I + i]! * w_OI[o * I + i]!;
      y_NO[n * O + o] = sum + (bias_O === null ? 0 : bias_O[o]!);
    }
  }
}
