import type { Floats } from '../../tensor/tensor.ts';

/**
 * Adds the gradients of y_d = gain_d · x_d · r, r = (mean_d(x_d²) + eps)^(−1/2).
 *
 * With ∂r/∂x_d = −r³ · x_d / D and c = Σ_d dy_d · gain_d · x_d:
 *
 *   dx_d += r · gain_d · dy_d − r³ · x_d · c / D        dGain_d += Σ_n dy_nd · x_nd · r_n
 *
 * Shapes   dx_ND, dGain_D (null: not wanted); dy_ND, x_ND, gain_D
 * Numbers  r is recomputed from x rather than saved: one pass over a row that is read anyway.
 */
export function rmsNormBackward(
  dx_ND: Floats | null,
  dGain_D: Floats | null,
  dy_ND: Floats,
  x_ND: Floats,
  gain_D: Floats,
  eps: number,
): void {
  const D = gain_D.length;
  for (let row = 0; row < x_ND.length; row += D) {
    let squares = 0;
    let c = 0;
    for (let d = 0; d < D; d++) {
      squares += x_ND[row + d]! ** 2;
      c += dy_ND[row + d]! * gain_D[d]! * x_ND[row + d]!;
    }
    const r = 1 / Math.sqrt(squares / D + eps);
    for (let d = 0; d < D; d++) {
      if (dx_ND) dx_ND[row + d]! += r * gain_D[d]! * dy_ND[row + d]! - ((r * r * r * c) / D) * x_ND[row + d]!;
      if (dGain_D) dGain_D[d]! += dy_ND[row + d]! * x_ND[row + d]! * r;
    }
  }
}
