/**
 * Super-blocks of 256 weights: sub-blocks whose scales (and minima) are themselves small integers times one f16.
 *
 *   affine      x ≈ d·l_j · q − dmin·m_j       q in 0 … top              l_j, m_j in 0 … scaleTop       (Q2_K, Q4_K, Q5_K)
 *   symmetric   x ≈ d·l_j · q                  q in −top … top − 1       l_j in −scaleTop … scaleTop − 1     (Q3_K, Q6_K)
 *
 * The search has three steps, each a least-squares problem and none of which raises the error:
 *   1. the best real scale and minimum of every sub-block (search.ts); the largest ones fix d and dmin;
 *   2. per sub-block the best integers near them: for l one below, at and above, the best m for those codes in closed form;
 *   3. with codes and integers fixed, the best d and dmin over the whole super-block; then 2 again, kept if it is better.
 * llama.cpp's search (make_qkx2_quants, make_qx_quants, make_q3_quants) has step 1 only and then rounds.
 *
 * Numbers  f64 throughout; d and dmin are f16 values from the start, so that the error is that of what is stored.
 * Cost     about 15 passes over the weights.
 */
import { f16ToF32, f32ToF16 } from '../base/f16.ts';
import { dtypes } from '../tensor/dtype.ts';
import { toF16 } from './codec.ts';
import { createFit, loadBlock, SINGULAR, searchAffine, searchSymmetric, ZERO } from './search.ts';

export const SUPER_BLOCK = dtypes.Q4_K.blockWeights;
const REFITS = 2;
const SMALLEST_F16 = f16ToF32(1);

/** A fitted super-block, ready to be packed. One object per encoder, so that a row allocates nothing. */
export interface SuperBlock {
  /** f16 values. */
  d: number;
  dmin: number;
  /** l_j as stored (symmetric: plus scaleTop) and m_j, per sub-block. */
  readonly scales: Uint8Array;
  readonly mins: Uint8Array;
  /** q as stored (symmetric: plus top), per weight. */
  readonly codes: Uint8Array;
}

export function createSuperBlock(): SuperBlock {
  return { d: 0, dmin: 0, scales: new Uint8Array(16), mins: new Uint8Array(16), codes: new Uint8Array(SUPER_BLOCK) };
}

export interface Grid {
  /** Weights per sub-block: 16 or 32. */
  readonly partWeights: number;
  readonly top: number;
  readonly scaleTop: number;
}

// The block at work: weights, importance; per sub-block the real scale and minimum wanted, Σw, Σwx, Σwx², the integers tried.
const x = new Float64Array(SUPER_BLOCK);
const w = new Float64Array(SUPER_BLOCK);
const wantedScale = new Float64Array(16);
const wantedMin = new Float64Array(16);
const partW = new Float64Array(16);
const partX = new Float64Array(16);
const partXX = new Float64Array(16);
const scales = new Int32Array(16);
const mins = new Int32Array(16);
const fit = createFit();
/** What the last trial of integers gave: its error, and the d and dmin that least squares would like better. */
const trial = { error: 0, d: 0, dmin: 0 };

export function fitAffine(
  block: SuperBlock,
  grid: Grid,
  weights: Float32Array,
  importance: Float32Array | null,
  first: number,
): void {
  const { partWeights, top, scaleTop } = grid;
  const parts = SUPER_BLOCK / partWeights;
  loadBlock(x, w, weights, importance, first, SUPER_BLOCK);
  let largestScale = 0;
  let largestMin = 0;
  for (let j = 0; j < parts; j++) {
    searchAffine(fit, x, w, j * partWeights, partWeights, top, 0);
    wantedScale[j] = fit.scale;
    wantedMin[j] = -fit.offset;
    partW[j] = fit.sumW;
    partX[j] = fit.sumX;
    partXX[j] = fit.sumXX;
    largestScale = Math.max(largestScale, wantedScale[j]!);
    largestMin = Math.max(largestMin, wantedMin[j]!);
  }
  let d = unitFor(largestScale, scaleTop, first);
  let dmin = unitFor(largestMin, scaleTop, first);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round <= REFITS; round++) {
    tryAffine(grid, d, dmin);
    if (!(trial.error < best)) break;
    best = trial.error;
    block.d = d;
    block.dmin = dmin;
    for (let j = 0; j < parts; j++) {
      block.scales[j] = scales[j]!;
      block.mins[j] = mins[j]!;
    }
    d = nearestF16(trial.d);
    dmin = nearestF16(trial.dmin);
    if (d === block.d && dmin === block.dmin) break;
  }
  for (let j = 0; j < parts; j++) {
    const scale = block.d * block.scales[j]!;
    const inverse = scale === 0 ? 0 : 1 / scale;
    const bias = block.dmin * block.mins[j]! * inverse + 0.5;
    for (let i = j * partWeights; i < (j + 1) * partWeights; i++) {
      const t = x[i]! * inverse + bias;
      block.codes[i] = t < 0 ? 0 : t > top ? top : t | 0;
    }
  }
}

/** Step 2 with the units d and dmin, for every sub-block; the sums of step 3 on the way. */
function tryAffine(grid: Grid, d: number, dmin: number): void {
  const { partWeights, top, scaleTop } = grid;
  const parts = SUPER_BLOCK / partWeights;
  trial.error = 0;
  // The normal equations of (d, dmin): Σ over sub-blocks of l²·Σwq², l·m·Σwq, m²·Σw; l·Σwxq, m·Σwx.
  let ll = ZERO;
  let lm = ZERO;
  let mm = ZERO;
  let xl = ZERO;
  let xm = ZERO;
  for (let j = 0; j < parts; j++) {
    const start = j * partWeights;
    const middle = d > 0 ? Math.min(scaleTop, Math.round(wantedScale[j]! / d)) : 0;
    const minimum = dmin > 0 ? dmin * Math.min(scaleTop, Math.round(wantedMin[j]! / dmin)) : 0;
    const sumW = partW[j]!;
    const sumX = partX[j]!;
    const sumXX = partXX[j]!;
    let bestError = Number.POSITIVE_INFINITY;
    let best_ll = ZERO;
    let best_lm = ZERO;
    let best_mm = ZERO;
    let best_xl = ZERO;
    let best_xm = ZERO;
    for (let l = Math.max(0, middle - 1); l <= Math.min(scaleTop, middle + 1); l++) {
      const scale = d * l;
      const inverse = scale > 0 ? 1 / scale : 0;
      const bias = minimum * inverse + 0.5;
      let sumQ = ZERO;
      let sumQQ = ZERO;
      let sumXQ = ZERO;
      for (let i = start; i < start + partWeights; i++) {
        const xi = x[i]!;
        const t = xi * inverse + bias;
        const q = t < 0 ? 0 : t > top ? top : t | 0;
        const wq = w[i]! * q;
        sumQ += wq;
        sumQQ += wq * q;
        sumXQ += wq * xi;
      }
      const ideal = dmin > 0 ? (scale * sumQ - sumX) / (sumW * dmin) : 0;
      const m = ideal <= 0 ? 0 : Math.min(scaleTop, Math.round(ideal));
      const offset = dmin * m;
      const error =
        sumXX -
        2 * (scale * sumXQ - offset * sumX) +
        scale * scale * sumQQ -
        2 * scale * offset * sumQ +
        offset * offset * sumW;
      if (error < bestError) {
        bestError = error;
        scales[j] = l;
        mins[j] = m;
        best_ll = l * l * sumQQ;
        best_lm = l * m * sumQ;
        best_mm = m * m * sumW;
        best_xl = l * sumXQ;
        best_xm = m * sumX;
      }
    }
    trial.error += bestError;
    ll += best_ll;
    lm += best_lm;
    mm += best_mm;
    xl += best_xl;
    xm += best_xm;
  }
  // Where all is scale or all is minimum, only one of the two is there to be fitted.
  const determinant = ll * mm - lm * lm;
  const isRegular = determinant > SINGULAR * ll * mm;
  trial.d = isRegular ? (mm * xl - lm * xm) / determinant : mm === 0 && ll > 0 ? xl / ll : d;
  trial.dmin = isRegular ? (lm * xl - ll * xm) / determinant : ll === 0 && mm > 0 ? -xm / mm : dmin;
  if (!(trial.d >= 0 && trial.dmin >= 0)) {
    trial.d = d;
    trial.dmin = dmin;
  }
}

export function fitSymmetric(
  block: SuperBlock,
  grid: Grid,
  weights: Float32Array,
  importance: Float32Array | null,
  first: number,
): void {
  const { partWeights, top, scaleTop } = grid;
  const parts = SUPER_BLOCK / partWeights;
  loadBlock(x, w, weights, importance, first, SUPER_BLOCK);
  let largest = 0;
  for (let j = 0; j < parts; j++) {
    searchSymmetric(fit, x, w, j * partWeights, partWeights, top);
    wantedScale[j] = fit.scale;
    partXX[j] = fit.sumXX;
    if (Math.abs(fit.scale) > Math.abs(largest)) largest = fit.scale;
  }
  // The largest scale becomes −scaleTop, the end that reaches one further.
  let d = largest === 0 ? 0 : -Math.sign(largest) * unitFor(Math.abs(largest), scaleTop, first);
  let best = Number.POSITIVE_INFINITY;
  for (let round = 0; round <= REFITS; round++) {
    trySymmetric(grid, d);
    if (!(trial.error < best)) break;
    best = trial.error;
    block.d = d;
    for (let j = 0; j < parts; j++) block.scales[j] = scales[j]! + scaleTop;
    d = nearestF16(trial.d);
    if (d === block.d) break;
  }
  const last = 2 * top - 1;
  for (let j = 0; j < parts; j++) {
    const scale = block.d * (block.scales[j]! - scaleTop);
    const inverse = scale === 0 ? 0 : 1 / scale;
    for (let i = j * partWeights; i < (j + 1) * partWeights; i++) {
      const t = x[i]! * inverse + top + 0.5;
      block.codes[i] = t < 0 ? 0 : t > last ? last : t | 0;
    }
  }
}

function trySymmetric(grid: Grid, d: number): void {
  const { partWeights, top, scaleTop } = grid;
  const parts = SUPER_BLOCK / partWeights;
  const last = 2 * top - 1;
  trial.error = 0;
  let ll = ZERO;
  let xl = ZERO;
  for (let j = 0; j < parts; j++) {
    const start = j * partWeights;
    const middle = d === 0 ? 0 : Math.max(-scaleTop, Math.min(scaleTop - 1, Math.round(wantedScale[j]! / d)));
    const sumXX = partXX[j]!;
    let bestError = Number.POSITIVE_INFINITY;
    let best_ll = ZERO;
    let best_xl = ZERO;
    for (let l = Math.max(-scaleTop, middle - 1); l <= Math.min(scaleTop - 1, middle + 1); l++) {
      const scale = d * l;
      const inverse = scale === 0 ? 0 : 1 / scale;
      let sumQQ = ZERO;
      let sumXQ = ZERO;
      for (let i = start; i < start + partWeights; i++) {
        const xi = x[i]!;
        const t = xi * inverse + top + 0.5;
        const q = (t < 0 ? 0 : t > last ? last : t | 0) - top;
        const wq = w[i]! * q;
        sumQQ += wq * q;
        sumXQ += wq * xi;
      }
      const error = sumXX - 2 * scale * sumXQ + scale * scale * sumQQ;
      if (error < bestError) {
        bestError = error;
        scales[j] = l;
        best_ll = l * l * sumQQ;
        best_xl = l * sumXQ;
      }
    }
    trial.error += bestError;
    ll += best_ll;
    xl += best_xl;
  }
  trial.d = ll > 0 ? xl / ll : d;
}

/** Infinite where f16 ends; a trial with it has no error that beats anything. */
function nearestF16(value: number): number {
  return f16ToF32(f32ToF16(value));
}

/** The f16 unit whose `scaleTop`-fold reaches `largest`; for tiny values the smallest f16 rather than none. */
function unitFor(largest: number, scaleTop: number, first: number): number {
  if (largest === 0) return 0;
  let bits = toF16(largest / scaleTop, first);
  while (f16ToF32(bits) * (scaleTop + 0.5) < largest) bits++;
  return Math.max(SMALLEST_F16, f16ToF32(bits));
}
