import { assert } from '../../base/assert.ts';
import type { Floats } from '../../tensor/tensor.ts';
import { logSumExp } from '../softmax/reference.ts';

/** Rows whose logits exist at once. */
export const CROSS_ENTROPY_ROWS = 64;

export interface CrossEntropyOptions {
  /** Of the logits. */
  readonly cap?: number | undefined;
  /** Weight of the penalty that keeps the normalizer Z near 1; 0: none. */
  readonly zLoss?: number | undefined;
}

/**
 * The output layer and its loss, and their gradients, in one pass over chunks of rows: the N × V logits never exist at once.
 *
 *   z_nv = x_n · head_v, with a cap: cap · tanh(x_n · head_v / cap)      loss_n = log Σ_v exp(z_nv) − z_n,label      (0 where label < 0)
 *   dz_nv = weight_n · (softmax(z_n)_v − [v = label_n]) · (1 − (z_nv / cap)²)      dx_n += Σ_v dz_nv · head_v      dHead_v += Σ_n dz_nv · x_n
 *
 * With zLoss the gradient is that of Σ_n weight_n · (loss_n + penalty_n):
 *
 *   penalty_n = zLoss · (ln Z_n)²      Z_n = Σ_v exp(z_nv)      dz_nv += weight_n · 2 · zLoss · ln Z_n · softmax(z_n)_v
 *
 * Shapes   dx_ND, dHead_VD (null: not wanted); x_ND, head_VD, labels_N, weights_N
 * Numbers  f64; softmax/reference.ts.
 * Returns  loss_N; with zLoss, penalty_N behind it: 2·N numbers
 * Source   the idea of fusing: Wijmans et al. 2024, arXiv:2411.09009. The penalty: Chowdhery et al. 2022, arXiv:2204.02311 §5.
 */
export function crossEntropy(
  dx_ND: Floats | null,
  dHead_VD: Floats | null,
  x_ND: Floats,
  head_VD: Floats,
  labels_N: Int32Array,
  weights_N: Float64Array,
  { cap, zLoss = 0 }: CrossEntropyOptions = {},
): Float64Array {
  const N = labels_N.length;
  const D = x_ND.length / Math.max(1, N);
  const V = head_VD.length / D;
  assert(weights_N.length === N, `crossEntropy: ${weights_N.length} weights for N = ${N} rows`);
  const losses_N = new Float64Array(zLoss > 0 ? 2 * N : N);
  const z_CV = new Float64Array(Math.min(N, CROSS_ENTROPY_ROWS) * V);
  for (let first = 0; first < N; first += CROSS_ENTROPY_ROWS) {
    const end = Math.min(N, first + CROSS_ENTROPY_ROWS);
    for (let n = first; n < end; n++) {
      const label = labels_N[n]!;
      if (label < 0) continue;
      assert(label < V, `crossEntropy: label ${label} at row ${n} is outside the vocabulary of ${V}`);
      const z = z_CV.subarray((n - first) * V, (n - first + 1) * V);
      for (let v = 0; v < V; v++) {
        let sum = 0;
        for (let d = 0; d < D; d++) sum += x_ND[n * D + d]! * head_VD[v * D + d]!;
        z[v] = cap === undefined ? sum : cap * Math.tanh(sum / cap);
      }
      const logSum = logSumExp(z);
      losses_N[n] = logSum - z[label]!;
      if (zLoss > 0) losses_N[N + n] = zLoss * logSum ** 2;
      const pull = 1 + 2 * zLoss * logSum;
      for (let v = 0; v < V; v++) {
        const slope = cap === undefined ? 1 : 1 - (z[v]! / cap) ** 2;
        const dz = weights_N[n]! * (Math.exp(z[v]! - logSum) * pull - (v === label ? 1 : 0)) * slope;
        for (let d = 0; d < D; d++) {
          if (dx_ND) dx_ND[n * D + d]! += dz * head_VD[v * D + d]!;
          if (dHead_VD) dHead_VD[v * D + d]! += dz * x_ND[n * D + d]!;
        }
      }
    }
  }
  return losses_N;
}
