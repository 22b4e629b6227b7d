import type { Floats } from '../../tensor/tensor.ts';
import type { BatchStatistics } from '../ops.ts';

/**
 * Standardizes each channel over the batch (training) or by running statistics (inference), then applies gain and shift.
 *
 *   y_nd = gain_d · (x_nd − μ_d) / sqrt(σ²_d + eps) + shift_d
 *
 * Shapes   x_ND, y_ND, gain_D, shift_D
 * Effects  in training, moves the running mean and variance by `momentum`; the running variance takes the unbiased estimate,
 *          the normalization the biased one.
 * Source   Ioffe & Szegedy 2015, arXiv:1502.03167; momentum and bias as in PyTorch's BatchNorm1d.
 */
export function batchNorm(
  y_ND: Floats,
  x_ND: Floats,
  gain_D: Floats,
  shift_D: Floats,
  eps: number,
  statistics: BatchStatistics<Floats>,
): void {
  const D = gain_D.length;
  const N = x_ND.length / D;
  for (let d = 0; d < D; d++) {
    let mean = statistics.mean_D[d]!;
    let variance = statistics.variance_D[d]!;
    if (statistics.training) {
      let sum = 0;
      for (let n = 0; n < N; n++) sum += x_ND[n * D + d]!;
      mean = sum / N;
      let squares = 0;
      for (let n = 0; n < N; n++) squares += (x_ND[n * D + d]! - mean) ** 2;
      variance = squares / N;
      const { momentum } = statistics;
      statistics.mean_D[d] = (1 - momentum) * statistics.mean_D[d]! + momentum * mean;
      statistics.variance_D[d] = (1 - momentum) * statistics.variance_D[d]! + momentum * (squares / Math.max(1, N - 1));
    }
    const r = 1 / Math.sqrt(variance + eps);
    for (let n = 0; n < N; n++) y_ND[n * D + d] = gain_D[d]! * (x_ND[n * D + d]! - mean) * r + shift_D[d]!;
  }
}
