/** The affine super-block: 256 weights → d, dmin, integer scales and minima, codes. The plan is in super-block.ts. */
import { createFit, loadBlock, SINGULAR, searchAffine, ZERO } from '../search.ts';
import { type Grid, nearestF16, REFITS, SUPER_BLOCK, type SuperBlock, unitFor } from './super-block.ts';

// The block at work: weights, importance; per sub-block the real scale and minimum wanted, Σw, Σwx, Σwx², the integers tried.
const x = new Float64Array(SUPER_BLOCK);
const w = new Float64Array(SUPER_BLOCK);
const wantedScale = new Float64Array(16);
const wantedMin = new Float64Array(16);
const partW = new Float64Array(16);
const partX = new Float64Array(16);
const partXX = new Float64Array(16);
const scales = new Uint8Array(16);
const mins = new Uint8Array(16);
const fit = createFit();
/** What the last trial of integers gave: its error, and the d and dmin that least squares would like better. */
const trial = { error: 0, d: 0, dmin: 0 };

/** Fits the 256 weights from `first` on into `block`. */
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
    block.scales.set(scales);
    block.mins.set(mins);
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
