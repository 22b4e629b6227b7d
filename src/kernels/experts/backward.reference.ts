import type { Floats } from '../../tensor/tensor.ts';
import type { RouteOptions } from '../ops.ts';
import { routedRow } from './reference.ts';

/**
 * Adds the gradient of the experts' weights to their scores; which experts were chosen has none.
 *
 *   chosen: ds_c += w_c · (dw_c − Σ_u w_u · dw_u) over the chosen      all: ds_j += Σ_u dw_u · w_u · ([j = c_u] − p_j) over all j
 *   sigmoid: ds_c += dw_c · w_c · (1 − w_c)
 *
 * Shapes   dScores_NX; dWeights_NU, weights_NU, chosen_NU; scores_NX
 */
export function routeBackward(
  dScores_NX: Floats,
  dWeights_NU: Floats,
  { scores_NX, chosen_NU, weights_NU }: { readonly [name in 'scores_NX' | 'chosen_NU' | 'weights_NU']: Floats },
  X: number,
  { used: U, weights }: RouteOptions,
): void {
  for (let n = 0; n < scores_NX.length / X; n++) {
    let inner = 0;
    for (let u = 0; u < U; u++) inner += weights_NU[n * U + u]! * dWeights_NU[n * U + u]!;
    for (let u = 0; u < U; u++) {
      const m = n * U + u;
      const own = weights_NU[m]! * dWeights_NU[m]!;
      const shared = { chosen: weights_NU[m]! * inner, all: 0, sigmoid: weights_NU[m]! * own };
      dScores_NX[n * X + chosen_NU[m]!]! += own - shared[weights];
    }
    if (weights !== 'all') continue;
    const scores = scores_NX.subarray(n * X, (n + 1) * X);
    let largest = Number.NEGATIVE_INFINITY;
    for (let x = 0; x < X; x++) largest = Math.max(largest, scores[x]!);
    let sum = 0;
    for (let x = 0; x < X; x++) sum += Math.exp(scores[x]! - largest);
    for (let x = 0; x < X; x++) dScores_NX[n * X + x]! -= (inner * Math.exp(scores[x]! - largest)) / sum;
  }
}

/** Adds the gradients of routedLinear: each row's to its own experts. Shapes as there; null: not wanted. */
export function routedLinearBackward(
  d: { readonly x: Floats | null; readonly w_XOI: Floats | null; readonly bias_XO: Floats | null },
  dy_MO: Floats,
  x: Floats,
  w_XOI: Floats,
  chosen_NU: Floats,
  { U, O, I }: { readonly U: number; readonly O: number; readonly I: number },
): void {
  const M = chosen_NU.length;
  const isShared = x.length === (M / U) * I;
  for (let m = 0; m < M; m++) {
    const expert = chosen_NU[m]!;
    const row = routedRow(Math.floor(m / U), m % U, U, isShared) * I;
    for (let o = 0; o < O; o++) {
      const dy = dy_MO[m * O + o]!;
      const weights = (expert * O + o) * I;
      if (d.bias_XO) d.bias_XO[expert * O + o]! += dy;
      for (let i = 0; i < I; i++) {
        if (d.x) d.x[row + i]! += dy * w_XOI[weights + i]!;
        if (d.w_XOI) d.w_XOI[weights + i]! += dy * x[row + i]!;
      }
    }
  }
}

/** dx_(n·U+u) += w_nu · dy_n,  dw_nu += x_(n·U+u) · dy_n. Shapes as in mixRoutes; null: not wanted. */
export function mixRoutesBackward(
  dx_MD: Floats | null,
  dWeights_NU: Floats | null,
  dy_ND: Floats,
  x_MD: Floats,
  weights_NU: Floats,
  U: number,
): void {
  const D = x_MD.length / weights_NU.length;
  for (let m = 0; m < weights_NU.length; m++) {
    const row = Math.floor(m / U) * D;
    let sum = 0;
    for (let d = 0; d < D; d++) {
      if (dx_MD) dx_MD[m * D + d]! += weights_NU[m]! * dy_ND[row + d]!;
      sum += x_MD[m * D + d]! * dy_ND[row + d]!;
    }
    if (dWeights_NU) dWeights_NU[m]! += sum;
  }
}

/** dx_n += Σ_u w_nu · dy_(n·U+u),  dw_nu += x_n · dy_(n·U+u). Shapes as in spreadRoutes; null: not wanted. */
export function spreadRoutesBackward(
  dx_ND: Floats | null,
  dWeights_NU: Floats | null,
  dy_MD: Floats,
  x_ND: Floats,
  weights_NU: Floats,
  U: number,
): void {
  const D = dy_MD.length / weights_NU.length;
  for (let m = 0; m < weights_NU.length; m++) {
    const row = Math.floor(m / U) * D;
    let sum = 0;
    for (let d = 0; d < D; d++) {
      if (dx_ND) dx_ND[row + d]! += weights_NU[m]! * dy_MD[m * D + d]!;
      sum += x_ND[row + d]! * dy_MD[m * D + d]!;
    }
    if (dWeights_NU) dWeights_NU[m]! += sum;
  }
}
