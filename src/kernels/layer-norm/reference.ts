import type { Floats } from '../../tensor/tensor.ts';

/**
 * Standardizes each row, then applies a learned gain and shift per channel.
 *
 *   μ_n = mean_d(x_nd)   σ²_n = mean_d((x_nd − μ_n)²)   y_nd = gain_d · (x_nd − μ_n) / sqrt(σ²_n + eps) + shift_d
 *
 * Shapes   x_ND, y_ND, gain_D, shift_D
 * Source   Ba, Kiros & Hinton 2016, arXiv:1607.06450; what RMSNorm is compared with.
 */
export function layerNorm(y_ND: Floats, x_ND: Floats, gain_D: Floats, shift_D: Floats, eps: number): void {
  const D = gain_D.length;
  const N = x_ND.length / D;
  for (let n = 0; n < N; n++) {
    const row = n * D;
    let sum = 0;
    for (let d = 0; d < D; d++) sum += x_ND[row + d]!;
    const mean = sum / D;
    let squares = 0;
    for (let d = 0; d < D; d++) squares += (x_ND[row + d]! - mean) ** 2;
    const r = 1 / Math.sqrt(squares / D + eps);
    for (let d = 0; d < D; d++) y_ND[row + d] = gain_D[d]! * (x_ND[row + d]! - mean) * r + shift_D[d]!;
  }
}
