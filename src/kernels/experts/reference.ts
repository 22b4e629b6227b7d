import { assert } from '../../base/assert.ts';
import type { Floats } from '../../tensor/tensor.ts';
import type { RouteOptions } from '../ops.ts';

/**
 * Chooses each row's experts: the `used` largest of its scores, largest first, of equal ones the earlier.
 *
 *   chosen: w_u = softmax over the chosen scores      all: w_u = softmax over all scores, at the chosen      sigmoid: w_u = σ(score_u)
 *
 * Shapes   chosen_NU (expert numbers), weights_NU; scores_NX
 * Source   Shazeer et al. 2017, arXiv:1701.06538 §2.1; Jiang et al. 2024, arXiv:2401.04088 eq. 2 (chosen); sigmoid: Meta 2025, Llama 4.
 */
export function route(
  chosen_NU: Floats,
  weights_NU: Floats,
  scores_NX: Floats,
  X: number,
  options: RouteOptions,
): void {
  const { used: U, weights } = options;
  assert(U >= 1 && U <= X, `route: ${U} of ${X} experts`);
  for (let n = 0; n < scores_NX.length / X; n++) {
    const scores = scores_NX.subarray(n * X, (n + 1) * X);
    const order = Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]! || a - b);
    const largest = scores[order[0]!]!;
    const among = weights === 'chosen' ? order.slice(0, U) : order;
    let sum = 0;
    for (const x of among) sum += Math.exp(scores[x]! - largest);
    for (let u = 0; u < U; u++) {
      const score = scores[order[u]!]!;
      chosen_NU[n * U + u] = order[u]!;
      weights_NU[n * U + u] = weights === 'sigmoid' ? 1 / (1 + Math.exp(-score)) : Math.exp(score - largest) / sum;
    }
  }
}

/** The row of x that goes through the u-th expert of row n: x has a row for each n, or for each of their experts. */
export function routedRow(n: number, u: number, U: number, isShared: boolean): number {
  return isShared ? n : n * U + u;
}

/**
 * Each row through its own experts: y_(n·U+u) = w_x · x_(n or n·U+u) + bias_x, x = chosen_nu.
 *
 * Shapes   y_MO with M = N·U; x_NI or x_MI; w_XOI, bias_XO; chosen_NU
 */
export function routedLinear(
  y_MO: Floats,
  x: Floats,
  w_XOI: Floats,
  bias_XO: Floats | null,
  chosen_NU: Floats,
  { U, O, I }: { readonly U: number; readonly O: number; readonly I: number },
): void {
  const M = chosen_NU.length;
  const isShared = x.length === (M / U) * I;
  for (let m = 0; m < M; m++) {
    const expert = chosen_NU[m]!;
    const row = routedRow(Math.floor(m / U), m % U, U, isShared) * I;
    for (let o = 0; o < O; o++) {
      const weights = (expert * O + o) * I;
      let sum = 0;
      for (let i = 0; i < I; i++) sum += x[row + i]! * w_XOI[weights + i]!;
      y_MO[m * O + o] = sum + (bias_XO ? bias_XO[expert * O + o]! : 0);
    }
  }
}

/** y_n = Σ_u weights_nu · x_(n·U+u), in the order of u. Shapes: y_ND, x_MD with M = N·U, weights_NU. */
export function mixRoutes(y_ND: Floats, x_MD: Floats, weights_NU: Floats, U: number): void {
  const N = weights_NU.length / U;
  const D = y_ND.length / Math.max(1, N);
  for (let n = 0; n < N; n++) {
    for (let d = 0; d < D; d++) {
      let sum = 0;
      for (let u = 0; u < U; u++) sum += weights_NU[n * U + u]! * x_MD[(n * U + u) * D + d]!;
      y_ND[n * D + d] = sum;
    }
  }
}

/** y_(n·U+u) = weights_nu · x_n: what mixRoutes is the adjoint of. Shapes: y_MD with M = N·U, x_ND, weights_NU. */
export function spreadRoutes(y_MD: Floats, x_ND: Floats, weights_NU: Floats, U: number): void {
  const D = y_MD.length / Math.max(1, weights_NU.length);
  for (let m = 0; m < weights_NU.length; m++) {
    const row = Math.floor(m / U) * D;
    for (let d = 0; d < D; d++) y_MD[m * D + d] = weights_NU[m]! * x_ND[row + d]!;
  }
}
