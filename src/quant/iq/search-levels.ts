/**
 * The search for scales on the uneven grid of IQ4_NL and IQ4_XS: which scale leaves the least Σ w·(x − scale·level)², once every weight
 * has its nearest level? As in ../search.ts a ladder of scales gives the levels to try, least squares the best scale for them, and both
 * alternate; and as in ../k/super-block.ts the integer scales of a super-block are then chosen near the ones wanted, d is fitted to them,
 * and they are chosen again.
 *
 * Numbers  f64; d is an f16 value from the start, so that the error is that of what is stored. Deterministic.
 */
import { f16ToF32 } from '../../base/f16.ts';
import { dtypes } from '../../tensor/dtype.ts';
import { toF16 } from '../codec.ts';
import { nearestF16, REFITS, unitFor } from '../k/super-block.ts';
import { loadBlock, ZERO } from '../search.ts';
import { levels } from './levels.ts';

const PART = dtypes.IQ4_NL.blockWeights;
const SUPER = dtypes.IQ4_XS.blockWeights;
const PARTS = SUPER / PART;
const SCALE_TOP = 32;
const LEVELS = Float64Array.from(levels.IQ4_NL);
const LOWEST = LEVELS[0]!;
const HIGHEST = LEVELS[15]!;

/** Where the weight of largest size is to lie, in units of levels: at either end of the grid, and a little inside or beyond. */
const LADDER = [0, -0.09, -0.06, -0.03, 0.03, 0.06, 0.09].flatMap((r) => [LOWEST * (1 + r), HIGHEST * (1 + r)]);
const POLISHES = 3;
const TIE = 1e-12;

/** The code nearest to a number of levels, by its place among the halves from −128 to 128: the borders between levels are halves. */
const NEAREST = Uint8Array.from({ length: 512 }, (_, place) => {
  const t = (place - 256) / 2 + 0.25;
  return LEVELS.reduce((best, level, code) => (Math.abs(level - t) < Math.abs(LEVELS[best]! - t) ? code : best), 0);
});

function codeOf(t: number): number {
  const place = 2 * t + 256;
  return NEAREST[place < 0 ? 0 : place > 511 ? 511 : place | 0]!;
}

/** What was fitted last: one object, so that a row allocates nothing. Scales are those of a super-block, −32 … 31. */
export const placed = { d: 0, scales: new Int8Array(PARTS), codes: new Uint8Array(SUPER) };

// The block at work: weights, importance; per part the scale wanted, Σwx², the integers tried.
const x = new Float64Array(SUPER);
const w = new Float64Array(SUPER);
const wanted = new Float64Array(PARTS);
const partXX = new Float64Array(PARTS);
const tried = new Int8Array(PARTS);
const sums = { xv: ZERO, vv: ZERO };
const trial = { error: ZERO, d: ZERO };

/** IQ4_NL: 32 weights from `first` on. */
export function fitBlock(weights: Float32Array, importance: Float32Array | null, first: number): void {
  loadBlock(x, w, weights, importance, first, PART);
  search(0);
  placed.d = f16ToF32(toF16(wanted[0]!, first));
  place(0, placed.d);
}

/** IQ4_XS: 256 weights from `first` on. */
export function fitSuperBlock(weights: Float32Array, importance: Float32Array | null, first: number): void {
  loadBlock(x, w, weights, importance, first, SUPER);
  let largest = 0;
  for (let j = 0; j < PARTS; j++) {
    search(j);
    if (Math.abs(wanted[j]!) > Math.abs(largest)) largest = wanted[j]!;
  }
  // The largest scale becomes −32, the end that reaches one further.
  let d = largest === 0 ? 0 : -Math.sign(largest) * unitFor(Math.abs(largest), SCALE_TOP, first);
  let best = Number.POSITIVE_INFINITY;
  placed.d = 0;
  placed.scales.fill(0);
  for (let round = 0; round <= REFITS; round++) {
    tryScales(d);
    if (!(trial.error < best)) break;
    best = trial.error;
    placed.d = d;
    placed.scales.set(tried);
    d = nearestF16(trial.d);
    if (d === placed.d) break;
  }
  for (let j = 0; j < PARTS; j++) place(j, placed.d * placed.scales[j]!);
}

/** The best real scale of part j into `wanted`, Σwx² into `partXX`. */
function search(j: number): void {
  const start = j * PART;
  let extreme = 0;
  let sumXX = ZERO;
  for (let i = start; i < start + PART; i++) {
    const xi = x[i]!;
    if (Math.abs(xi) > Math.abs(extreme)) extreme = xi;
    sumXX += w[i]! * xi * xi;
  }
  wanted[j] = 0;
  partXX[j] = sumXX;
  if (extreme === 0) return;
  let error = sumXX;
  for (let step = 0; step < LADDER.length + POLISHES; step++) {
    const rung = LADDER[step];
    addUp(start, rung === undefined ? 1 / wanted[j]! : rung / extreme);
    const gain = sums.vv > 0 ? (sums.xv * sums.xv) / sums.vv : 0;
    if (sumXX - gain < error - TIE * sumXX) {
      error = sumXX - gain;
      wanted[j] = sums.xv / sums.vv;
    } else if (rung === undefined) return;
  }
}

/** Σwxv and Σwv² of a part, with the levels v nearest to x · inverse. */
function addUp(start: number, inverse: number): void {
  let xv = ZERO;
  let vv = ZERO;
  for (let i = start; i < start + PART; i++) {
    const v = LEVELS[codeOf(x[i]! * inverse)]!;
    const wv = w[i]! * v;
    xv += wv * x[i]!;
    vv += wv * v;
  }
  sums.xv = xv;
  sums.vv = vv;
}

/** The best integer scale of every part with the unit d; the error, and the d that least squares would like better. */
function tryScales(d: number): void {
  trial.error = 0;
  let ll = ZERO;
  let xl = ZERO;
  for (let j = 0; j < PARTS; j++) {
    const middle = d === 0 ? 0 : Math.max(-SCALE_TOP, Math.min(SCALE_TOP - 1, Math.round(wanted[j]! / d)));
    let bestError = Number.POSITIVE_INFINITY;
    let best_ll = ZERO;
    let best_xl = ZERO;
    for (let l = Math.max(-SCALE_TOP, middle - 1); l <= Math.min(SCALE_TOP - 1, middle + 1); l++) {
      const scale = d * l;
      addUp(j * PART, scale === 0 ? 0 : 1 / scale);
      const error = partXX[j]! - 2 * scale * sums.xv + scale * scale * sums.vv;
      if (error < bestError) {
        bestError = error;
        tried[j] = l;
        best_ll = l * l * sums.vv;
        best_xl = l * sums.xv;
      }
    }
    trial.error += bestError;
    ll += best_ll;
    xl += best_xl;
  }
  trial.d = ll > 0 ? xl / ll : d;
}

function place(j: number, scale: number): void {
  const inverse = scale === 0 ? 0 : 1 / scale;
  for (let i = j * PART; i < (j + 1) * PART; i++) placed.codes[i] = codeOf(x[i]! * inverse);
}
