import type { Floats } from '../../tensor/tensor.ts';

/**
 * Adds the gradients of y_d = gain_d · z_d + shift_d with z_d = (x_d − μ) · r.
 *
 * With g_d = dy_d · gain_d, and μ and r depending on the whole row:
 *
 *   dx_d += r · (g_d − mean(g) − z_d · mean(g · z))        dGain_d += Σ_n dy_nd · z_nd        dShift_d += Σ_n dy_nd
 *
 * Shapes   dx_ND, dGain_D, dShift_D (null: not wanted); dy_ND, x_ND, gain_D
 * Source   Ba, Kiros & Hinton 2016, arXiv:1607.06450, differentiated.
 */
export function layerNormBackward(
  dx_ND: Floats | null,
  dGain_D: Floats | null,
  dShift_D: Floats | null,
  dy_ND: Floats,
  x_ND: Floats,
  gain_D: Floats,
  eps: number,
): void {
  const D = gain_D.length;
  for (let row = 0; row < x_ND.length; row += D) {
    let sum = 0;
    for (let d = 0; d < D; d++) sum += x_ND[row + d]!;
    const mean = sum / D;
    let squares = 0;
    for (let d = 0; d < D; d++) squares += (x_ND[row + d]! - mean) ** 2;
    const r = 1 / Math.sqrt(squares / D + eps);
    let sumG = 0;
    let sumGz = 0;
    for (let d = 0; d < D; d++) {
      const g = dy_ND[row + d]! * gain_D[d]!;
      sumG += g;
      sumGz += g * (x_ND[row + d]! - mean) * r;
    }
    for (let d = 0; d < D; d++) {
      const dy = dy_ND[row + d]!;
      const z = (x_ND[row + d]! - mean) * r;
      if (dx_ND) dx_ND[row + d]! += r * (dy * gain_D[d]! - sumG / D - (z * sumGz) / D);
      if (dGain_D) dGain_D[d]! += dy * z;
      if (dShift_D) dShift_D[d]! += dy;
    }
  }
}
