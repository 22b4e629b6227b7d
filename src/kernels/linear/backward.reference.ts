import type { Floats } from '../../tensor/tensor.ts';

/**
 * Adds the gradients of y = x · Wᵀ + b.
 *
 *   dx_ni += Σ_o dy_no · w_oi        dw_oi += Σ_n dy_no · x_ni        db_o += Σ_n dy_no
 *
 * Shapes   dx_NI, dw_OI, dBias_O (null: not wanted); dy_NO, x_NI, w_OI
 * Cost     4·N·I·O flops, twice the forward pass.
 */
export function linearBackward(
  dx_NI: Floats | null,
  dw_OI: Floats | null,
  dBias_O: Floats | null,
  dy_NO: Floats,
  x_NI: Floats,
  w_OI: Floats,
  I: number,
): void {
  const N = x_NI.length / I;
  const O = w_OI.length / I;
  for (let n = 0; n < N; n++) {
    for (let o = 0; o < O; o++) {
      const dy = dy_NO[n * O + o]!;
      if (dBias_O) dBias_O[o]! += dy;
      if (dx_NI) for (let i = 0; i < I; i++) dx_NI[n * I + i]! += dy * w_OI[o * I + i]!;
      if (dw_OI) for (let i = 0; i < I; i++) dw_OI[o * I + i]! += dy * x_NI[n * I + i]!;
    }
  }
}
