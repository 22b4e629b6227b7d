/** The symmetric super-block: 256 weights → d, signed integer scales, codes. The plan is in super-block.ts. */
import { createFit, loadBlock, searchSymmetric, ZERO } from '../search.ts';
import { type Grid, nearestF16, REFITS, SUPER_BLOCK, type SuperBlock, unitFor } from './super-block.ts';

// The block at work: weights, importance; per sub-block the real scale wanted, Σwx², the integers tried.
const x = new Float64Array(SUPER_BLOCK);
const w = new Float64Array(SUPER_BLOCK);
const wantedScale = new Float64Array(16);
const partXX = new Float64Array(16);
const scales = new Int16Array(16);
const fit = createFit();
/** What the last trial of integers gave: its error, and the d that least squares would like better. */
const trial = { error: 0, d: 0 };

/** Fits the 256 weights from `first` on into `block`. */
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

/** Step 2 with the unit d, for every sub-block; the sums of step 3 on the way. */
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
