/**
 * The search for the step of one small block: which scale (and offset) leaves the least weighted squared error once the
 * codes are rounded? Two shapes of block:
 *
 *   affine      x_i ≈ scale · q_i + offset     q in 0 … top                offset ≤ ceiling
 *   symmetric   x_i ≈ scale · q_i              q in −top … top − 1         scale of either sign
 *
 * For given codes the best scale and offset are a least-squares problem of two unknowns, and its error follows from five
 * sums, so that a candidate costs one pass over the block:
 *
 *   E(s, o) = Σwx² − 2s·Σwxq − 2o·Σwx + s²·Σwq² + 2so·Σwq + o²·Σw
 *
 * A fixed ladder of steps around (max − min)/top gives the codes to try; then rounding and least squares alternate, which
 * never raises the error (Lloyd's method on an even grid). Deterministic; sums in f64.
 */

import { dtypes } from '../tensor/dtype.ts';

/**
 * Where sums start. A local that starts as the integer 0 and becomes a double inside a loop is kept boxed by V8 (Node 26): these loops
 * then take three times as long. −0 is a double from the start, and −0 + x = x.
 */
export const ZERO = -0;

/** What a search found; written in place, so that nothing is allocated per block. */
export interface Fit {
  scale: number;
  offset: number;
  error: number;
  /** Σw, Σwx, Σwx² of the block; the symmetric search leaves the first two alone. */
  sumW: number;
  sumX: number;
  sumXX: number;
}

export const createFit = (): Fit => ({ scale: ZERO, offset: ZERO, error: ZERO, sumW: ZERO, sumX: ZERO, sumXX: ZERO });

/** The steps to try, as codes more or fewer than `top` over the range of the block; the plain one first, which wins ties. */
const LADDER = [0, -0.9, -0.6, -0.3, 0.3, 0.6] as const;
const POLISHES = 2;
const TRACE = 1e-6;
/** Errors nearer to each other than this share of Σwx² differ by rounding only. */
const TIE = 1e-12;
/** Below this share of its terms a determinant is rounding noise. */
export const SINGULAR = 1e-12;

/** The best affine fit of x[start … start + count) with weights w; all-equal blocks that an offset can hold are exact. */
export function searchAffine(
  fit: Fit,
  x: Float64Array,
  w: Float64Array,
  start: number,
  count: number,
  top: number,
  ceiling: number,
): void {
  let low = ceiling;
  let high = Number.NEGATIVE_INFINITY;
  let sumW = ZERO;
  let sumX = ZERO;
  let sumXX = ZERO;
  for (let i = start; i < start + count; i++) {
    const xi = x[i]!;
    if (xi < low) low = xi;
    if (xi > high) high = xi;
    sumW += w[i]!;
    sumX += w[i]! * xi;
    sumXX += w[i]! * xi * xi;
  }
  fit.sumW = sumW;
  fit.sumX = sumX;
  fit.sumXX = sumXX;
  fit.scale = 0;
  fit.offset = Math.min(ceiling, sumX / sumW);
  fit.error = sumXX - 2 * fit.offset * sumX + fit.offset * fit.offset * sumW;
  if (!(high > low)) return;
  for (let step = 0; step < LADDER.length + POLISHES; step++) {
    const rung = LADDER[step];
    if (rung === undefined && fit.scale === 0) return;
    const inverse = rung === undefined ? 1 / fit.scale : (top + rung) / (high - low);
    const from = rung === undefined ? fit.offset : low;
    const bias = 0.5 - from * inverse;
    let sumQ = ZERO;
    let sumQQ = ZERO;
    let sumXQ = ZERO;
    for (let i = start; i < start + count; i++) {
      const xi = x[i]!;
      const t = xi * inverse + bias;
      const q = t < 0 ? 0 : t > top ? top : t | 0;
      const wq = w[i]! * q;
      sumQ += wq;
      sumQQ += wq * q;
      sumXQ += wq * xi;
    }
    const determinant = sumW * sumQQ - sumQ * sumQ;
    let scale = (sumW * sumXQ - sumX * sumQ) / determinant;
    let offset = (sumQQ * sumX - sumQ * sumXQ) / determinant;
    // One code for all weights leaves the two unknowns undetermined: the ceiling settles it, as it does for an offset above it.
    if (!(determinant > SINGULAR * sumW * sumQQ) || offset > ceiling) {
      offset = ceiling;
      scale = (sumXQ - offset * sumQ) / sumQQ;
    }
    const error =
      sumXX -
      2 * (scale * sumXQ + offset * sumX) +
      scale * scale * sumQQ +
      2 * scale * offset * sumQ +
      offset * offset * sumW;
    if (scale > 0 && error < fit.error - TIE * sumXX) {
      fit.scale = scale;
      fit.offset = offset;
      fit.error = error;
    } else if (rung === undefined) return;
  }
}

/** The best symmetric fit of x[start … start + count) with weights w; fit.offset stays 0. */
export function searchSymmetric(
  fit: Fit,
  x: Float64Array,
  w: Float64Array,
  start: number,
  count: number,
  top: number,
): void {
  let extreme = 0;
  let sumXX = ZERO;
  for (let i = start; i < start + count; i++) {
    const xi = x[i]!;
    if (Math.abs(xi) > Math.abs(extreme)) extreme = xi;
    sumXX += w[i]! * xi * xi;
  }
  fit.scale = 0;
  fit.offset = 0;
  fit.error = sumXX;
  fit.sumXX = sumXX;
  if (extreme === 0) return;
  const last = 2 * top - 1;
  for (let step = 0; step < LADDER.length + POLISHES; step++) {
    const rung = LADDER[step];
    if (rung === undefined && fit.scale === 0) return;
    const inverse = rung === undefined ? 1 / fit.scale : -(top + rung) / extreme;
    let sumQQ = ZERO;
    let sumXQ = ZERO;
    for (let i = start; i < start + count; i++) {
      const xi = x[i]!;
      const t = xi * inverse + top + 0.5;
      const q = (t < 0 ? 0 : t > last ? last : t | 0) - top;
      const wq = w[i]! * q;
      sumQQ += wq * q;
      sumXQ += wq * xi;
    }
    const gain = sumQQ > 0 ? (sumXQ * sumXQ) / sumQQ : 0;
    if (gain > 0 && sumXX - gain < fit.error - TIE * sumXX) {
      fit.scale = sumXQ / sumQQ;
      fit.error = sumXX - gain;
    } else if (rung === undefined) return;
  }
}

/**
 * Copies a block for the search: x in f64; w the importance, or all ones where there is none. A trace of the block's mean is added to
 * each w, so that weights which never matter are still stored as well as the others allow.
 */
export function loadBlock(
  x: Float64Array,
  w: Float64Array,
  weights: Float32Array,
  importance: Float32Array | null,
  first: number,
  count: number,
): void {
  let sum = 0;
  for (let i = 0; i < count; i++) x[i] = weights[first + i]!;
  if (importance) for (let i = 0; i < count; i++) sum += importance[first + i]!;
  const trace = sum > 0 ? (TRACE * sum) / count : 1;
  for (let i = 0; i < count; i++) w[i] = trace;
  if (importance) for (let i = 0; i < count; i++) w[i]! += importance[first + i]!;
}

const COUNT = dtypes.Q4_0.blockWeights;
const blockX = new Float64Array(COUNT);
const blockW = new Float64Array(COUNT);
const blockFit = createFit();

/** The step that suits `importance` best, for the block of COUNT weights from `first` on: codes −top … top − 1. */
export function searchSymmetricBlock(weights: Float32Array, importance: Float32Array, first: number, top: number): Fit {
  loadBlock(blockX, blockW, weights, importance, first, COUNT);
  searchSymmetric(blockFit, blockX, blockW, 0, COUNT, top);
  return blockFit;
}

/** The same with an offset of either sign: codes 0 … top. */
export function searchAffineBlock(weights: Float32Array, importance: Float32Array, first: number, top: number): Fit {
  loadBlock(blockX, blockW, weights, importance, first, COUNT);
  searchAffine(blockFit, blockX, blockW, 0, COUNT, top, Number.POSITIVE_INFINITY);
  return blockFit;
}
