import type { Floats } from '../../tensor/tensor.ts';
import type { BatchStatistics } from '../ops.ts';

/**
 * Adds the gradients of y_n = gain · z_n + shift with z_n = (x_n − μ) · r, one channel at a time.
 *
 * Training: μ and r come from the batch, so every row touches every other. With g_n = dy_n · gain:
 *
 *   dx_n += r · (g_n − mean(g) − z_n · mean(g · z))        dGain += Σ_n dy_n · z_n        dShift += Σ_n dy_n
 *
 * With running statistics μ and r are constants: dx_n += r · g_n.
 *
 * Shapes   dx_ND, dGain_D, dShift_D (null: not wanted); dy_ND, x_ND, gain_D
 * Source   Ioffe & Szegedy 2015, arXiv:1502.03167 §3.
 */
export function batchNormBackward(
  dx_ND: Floats | null,
  dGain_D: Floats | null,
  dShift_D: Floats | null,
  dy_ND: Floats,
  x_ND: Floats,
  gain_D: Floats,
  eps: number,
  { mean_D, variance_D, training }: BatchStatistics<Floats>,
): void {
  const D = gain_D.length;
  const N = x_ND.length / D;
  for (let d = 0; d < D; d++) {
    let mean = mean_D[d]!;
    let variance = variance_D[d]!;
    if (training) {
      let sum = 0;
      for (let n = 0; n < N; n++) sum += x_ND[n * D + d]!;
      mean = sum / N;
      let squares = 0;
      for (let n = 0; n < N; n++) squares += (x_ND[n * D + d]! - mean) ** 2;
      variance = squares / N;
    }
    const r = 1 / Math.sqrt(variance + eps);
    let sumDy = 0;
    let sumDyZ = 0;
    for (let n = 0; n < N; n++) {
      sumDy += dy_ND[n * D + d]!;
      sumDyZ += dy_ND[n * D + d]! * (x_ND[n * D + d]! - mean) * r;
    }
    if (dGain_D) dGain_D[d]! += sumDyZ;
    if (dShift_D) dShift_D[d]! += sumDy;
    if (!dx_ND) continue;
    const gain = gain_D[d]!;
    for (let n = 0; n < N; n++) {
      const z = (x_ND[n * D + d]! - mean) * r;
      const shared = training ? sumDy / N + (z * sumDyZ) / N : 0;
      dx_ND[n * D + d]! += r * gain * (dy_ND[n * D + d]! - shared);
    }
  }
}
