// Attention for training: whole sequences, forward with the log-sum-exp and backward from it, in blocks of 32 queries × 64 keys.
// The formulas are those of backward.reference.ts; the products are the GEMM's register tile on blocks that stay in the cache.
// Unit = one key/value head of one sequence: nobody else writes its gradients, so the sums have one order.
import { packPanel, tile } from '../gemm/assembly';
import { arg, argF32, exp1, exp4, sumLanes } from '../simd.assembly';
import { KEY_BLOCK, QUERY_BLOCK } from '../training-tasks';

const QUERIES: usize = QUERY_BLOCK;
const KEYS: usize = KEY_BLOCK;

const SCORE_ROW: usize = KEYS * 4;
const BLOCK_BYTES: usize = QUERIES * SCORE_ROW;

/**
 * Arguments of both tasks: 0 units (per unit: first row, row count, kv head), 1 H, 2 K, 3 E, 4 window (0: none), 5 1/√E,
 * 6 scratch, 7 bytes of scratch per thread, 8 q, 9 k, 10 v, 11 mix, 12 logSumExp;
 * backward: 13 dMix, 14 dq, 15 dk, 16 dv (0: not wanted), 17 add (bits 0, 1, 2: dq, dk, dv).
 */
export function attentionForward(first: i32, last: i32, thread: i32): void {
  for (let unit = first; unit < last; unit++) forwardUnit(arg(0) + <usize>unit * 12, scratchOf(thread));
}

export function attentionBackward(first: i32, last: i32, thread: i32): void {
  for (let unit = first; unit < last; unit++) backwardUnit(arg(0) + <usize>unit * 12, scratchOf(thread));
}

function scratchOf(thread: i32): usize {
  return arg(6) + <usize>thread * arg(7);
}

// @ts-expect-error: decorator
@inline
function roundUp(x: usize, multiple: usize): usize {
  return ((x + multiple - 1) / multiple) * multiple;
}

/** Scratch of the forward task in bytes: keys and values of a sequence, and the blocks. */
export function attentionForwardBytes(rows: usize, E: usize): usize {
  const padded = roundUp(E, 16);
  const keys = roundUp(rows, KEYS);
  return (2 * keys * padded + 2 * QUERIES * padded + 2 * QUERIES) * 4 + BLOCK_BYTES;
}

export function attentionBackwardBytes(rows: usize, E: usize): usize {
  const padded = roundUp(E, 16);
  const keys = roundUp(rows, KEYS);
  return (5 * keys * padded + 3 * QUERIES * padded + QUERIES) * 4 + 2 * BLOCK_BYTES;
}

/** Rows of one head → rows of `padded` numbers, times a factor; zeros beside and below. */
function copyRows(target: usize, source: usize, stride: usize, rows: usize, allRows: usize, E: usize, factor: f32): void {
  const padded = roundUp(E, 16);
  const f = f32x4.splat(factor);
  memory.fill(target, 0, allRows * padded * 4);
  for (let r: usize = 0; r < rows; r++, source += stride, target += padded * 4) {
    let e: usize = 0;
    for (; e + 4 <= E; e += 4) v128.store(target + e * 4, f32x4.mul(f, v128.load(source + e * 4)));
    for (; e < E; e++) store<f32>(target + e * 4, factor * load<f32>(source + e * 4));
  }
}

/** Keys (or values) of one head as panels of 16 rows for each e: what the scores multiply with. */
function packKeys(target: usize, source: usize, stride: usize, rows: usize, E: usize): void {
  for (let s: usize = 0; s < roundUp(rows, KEYS); s += 16) {
    const have = s < rows ? min<usize>(16, rows - s) : 0;
    packPanel(target + s * E * 4, source + s * stride, stride, 4, have, E, 16);
  }
}

/** scores[i][s] = a_i · key_s for a block of queries and keys. */
// @ts-expect-error: decorator
@inline
function scoresOf(scores: usize, a: usize, aRow: usize, keys: usize, queries: usize, count: usize, E: usize): void {
  for (let s: usize = 0; s < count; s += 16) {
    const panel = keys + s * E * 4;
    for (let i: usize = 0; i < queries; i += 4) {
      tile(scores + i * SCORE_ROW + s * 4, SCORE_ROW, a + i * aRow, aRow, 4, panel, 64, E, false);
    }
  }
}

/** target[i][e] += Σ_s weights[i][s] · values[s][e] */
// @ts-expect-error: decorator
@inline
function addWeighted(target: usize, weights: usize, values: usize, row: usize, queries: usize, count: usize): void {
  for (let i: usize = 0; i < queries; i += 4) {
    for (let e: usize = 0; e < row; e += 64) {
      tile(target + i * row + e, row, weights + i * SCORE_ROW, SCORE_ROW, 4, values + e, row, count, true);
    }
  }
}

/** target[s][e] += Σ_i weights[i][s] · rows[i][e] */
// @ts-expect-error: decorator
@inline
function addTransposed(target: usize, weights: usize, rows: usize, row: usize, queries: usize, count: usize): void {
  for (let s: usize = 0; s < count; s += 4) {
    for (let e: usize = 0; e < row; e += 64) {
      tile(target + s * row + e, row, weights + s * 4, 4, SCORE_ROW, rows + e, row, queries, true);
    }
  }
}

function forwardUnit(unit: usize, scratch: usize): void {
  const firstRow = load<u32>(unit) as usize;
  const rows = load<u32>(unit, 4) as usize;
  const g = load<u32>(unit, 8) as usize;
  const H = arg(1), K = arg(2), E = arg(3), window = arg(4);
  const padded = roundUp(E, 16);
  const row = padded * 4;
  const keyStride = K * E * 4;
  const queryStride = H * E * 4;
  const allKeys = roundUp(rows, KEYS);

  const keys = scratch;
  const values = keys + allKeys * row;
  const q = values + allKeys * row;
  const mix = q + QUERIES * row;
  const peak = mix + QUERIES * row;
  const sums = peak + QUERIES * 4;
  const scores = sums + QUERIES * 4;

  const kvAt = firstRow * keyStride + g * E * 4;
  packKeys(keys, arg(9) + kvAt, keyStride, rows, E);
  copyRows(values, arg(10) + kvAt, keyStride, rows, allKeys, E, 1);
  const group = H / K;
  for (let h = g * group; h < (g + 1) * group; h++) {
    for (let q0: usize = 0; q0 < rows; q0 += QUERIES) {
      const queries = min<usize>(QUERIES, rows - q0);
      const at = (firstRow + q0) * queryStride + h * E * 4;
      copyRows(q, arg(8) + at, queryStride, queries, QUERIES, E, argF32(5));
      memory.fill(mix, 0, QUERIES * row);
      for (let i: usize = 0; i < queries; i++) {
        store<f32>(peak + i * 4, -Infinity);
        store<f32>(sums + i * 4, 0);
      }
      const end = q0 + queries;
      for (let s0 = firstBlock(q0, window); s0 < end; s0 += KEYS) {
        const count = min<usize>(KEYS, end - s0);
        scoresOf(scores, q, row, keys + s0 * E * 4, queries, roundUp(count, 16), E);
        for (let i: usize = 0; i < QUERIES; i++) {
          const from = i < queries ? firstKey(q0 + i, s0, window) : 0;
          const to = i < queries ? keyEnd(q0 + i, s0, count) : 0;
          softmaxRow(scores + i * SCORE_ROW, from, to, peak + i * 4, sums + i * 4, mix + i * row, row);
        }
        addWeighted(mix, scores, values + s0 * row, row, queries, count);
      }
      for (let i: usize = 0; i < queries; i++) {
        const sum = load<f32>(sums + i * 4);
        const target = arg(11) + at + i * queryStride;
        const share: f32 = <f32>1 / sum;
        for (let e: usize = 0; e < E; e++) {
          store<f32>(target + e * 4, load<f32>(mix + i * row + e * 4) * share);
        }
        const logSum = <f32>(<f64>load<f32>(peak + i * 4) + NativeMath.log(<f64>sum));
        store<f32>(arg(12) + ((firstRow + q0 + i) * H + h) * 4, logSum);
      }
    }
  }
}

/** The first block of keys that any query from q0 on sees. */
// @ts-expect-error: decorator
@inline
function firstBlock(q0: usize, window: usize): usize {
  return window == 0 || q0 < window ? 0 : ((q0 - window + 1) / KEYS) * KEYS;
}

/** Keys [firstKey, keyEnd) of the block at s0 are visible to the query at `position`. */
// @ts-expect-error: decorator
@inline
function firstKey(position: usize, s0: usize, window: usize): usize {
  if (window == 0 || position + 1 <= window) return 0;
  const first = position + 1 - window;
  return first <= s0 ? 0 : min<usize>(first - s0, KEYS);
}
// @ts-expect-error: decorator
@inline
function keyEnd(position: usize, s0: usize, count: usize): usize {
  return position < s0 ? 0 : min<usize>(count, position - s0 + 1);
}

/** One row of scores → exp(score − peak), zeros outside [from, to); what was summed before is brought to the new peak. */
function softmaxRow(x: usize, from: usize, to: usize, peak: usize, sum: usize, mix: usize, row: usize): void {
  if (to <= from) return memory.fill(x, 0, SCORE_ROW);
  for (let s: usize = 0; s < from; s++) store<f32>(x + s * 4, -Infinity);
  for (let s = to; s < KEYS; s++) store<f32>(x + s * 4, -Infinity);
  const old = load<f32>(peak);
  let tops = f32x4.splat(old);
  for (let s: usize = 0; s < KEYS; s += 4) tops = f32x4.max(tops, v128.load(x + s * 4));
  tops = f32x4.max(tops, v128.shuffle<f32>(tops, tops, 2, 3, 0, 1));
  tops = f32x4.max(tops, v128.shuffle<f32>(tops, tops, 1, 0, 3, 2));
  const top = f32x4.extract_lane(tops, 0);
  let total = f32x4.splat(0);
  for (let s: usize = 0; s < KEYS; s += 4) {
    let p = exp4(f32x4.sub(v128.load(x + s * 4), tops));
    if (s < from || s + 4 > to) p = masked(p, s, from, to);
    total = f32x4.add(total, p);
    v128.store(x + s * 4, p);
  }
  const factor = old == -Infinity ? <f32>0 : exp1(old - top);
  store<f32>(peak, top);
  store<f32>(sum, load<f32>(sum) * factor + sumLanes(total));
  if (factor == 1) return;
  const f = f32x4.splat(factor);
  for (let e: usize = 0; e < row; e += 16) v128.store(mix + e, f32x4.mul(f, v128.load(mix + e)));
}

/** p with the lanes outside [from, to) at zero. */
// @ts-expect-error: decorator
@inline
function masked(p: v128, s: usize, from: usize, to: usize): v128 {
  const index = i32x4.add(i32x4.splat(<i32>s), i32x4(0, 1, 2, 3));
  const inside = v128.and(i32x4.ge_s(index, i32x4.splat(<i32>from)), i32x4.lt_s(index, i32x4.splat(<i32>to)));
  return v128.and(p, inside);
}

function backwardUnit(unit: usize, scratch: usize): void {
  const firstRow = load<u32>(unit) as usize;
  const rows = load<u32>(unit, 4) as usize;
  const g = load<u32>(unit, 8) as usize;
  const H = arg(1), K = arg(2), E = arg(3), window = arg(4);
  const padded = roundUp(E, 16);
  const row = padded * 4;
  const keyStride = K * E * 4;
  const queryStride = H * E * 4;
  const allKeys = roundUp(rows, KEYS);

  const keys = scratch;
  const values = keys + allKeys * row;
  const keyRows = values + allKeys * row;
  const dk = keyRows + allKeys * row;
  const dv = dk + allKeys * row;
  const q = dv + allKeys * row;
  const dMix = q + QUERIES * row;
  const dq = dMix + QUERIES * row;
  const inner = dq + QUERIES * row;
  const p = inner + QUERIES * 4;
  const dp = p + BLOCK_BYTES;

  const kvAt = firstRow * keyStride + g * E * 4;
  packKeys(keys, arg(9) + kvAt, keyStride, rows, E);
  packKeys(values, arg(10) + kvAt, keyStride, rows, E);
  copyRows(keyRows, arg(9) + kvAt, keyStride, rows, allKeys, E, 1);
  memory.fill(dk, 0, 2 * allKeys * row);
  const group = H / K;
  for (let h = g * group; h < (g + 1) * group; h++) {
    for (let q0: usize = 0; q0 < rows; q0 += QUERIES) {
      const queries = min<usize>(QUERIES, rows - q0);
      const at = (firstRow + q0) * queryStride + h * E * 4;
      copyRows(q, arg(8) + at, queryStride, queries, QUERIES, E, argF32(5));
      copyRows(dMix, arg(13) + at, queryStride, queries, QUERIES, E, 1);
      memory.fill(dq, 0, QUERIES * row);
      for (let i: usize = 0; i < queries; i++) {
        let m: f32 = 0;
        for (let e: usize = 0; e < E; e++) {
          m += load<f32>(dMix + i * row + e * 4) * load<f32>(arg(11) + at + i * queryStride + e * 4);
        }
        store<f32>(inner + i * 4, m);
      }
      const end = q0 + queries;
      for (let s0 = firstBlock(q0, window); s0 < end; s0 += KEYS) {
        const count = min<usize>(KEYS, end - s0);
        const wide = roundUp(count, 16);
        scoresOf(p, q, row, keys + s0 * E * 4, queries, wide, E);
        scoresOf(dp, dMix, row, values + s0 * E * 4, queries, wide, E);
        for (let i: usize = 0; i < QUERIES; i++) {
          const from = i < queries ? firstKey(q0 + i, s0, window) : 0;
          const to = i < queries ? keyEnd(q0 + i, s0, count) : 0;
          const logSum = i < queries ? load<f32>(arg(12) + ((firstRow + q0 + i) * H + h) * 4) : 0;
          slopeRow(p + i * SCORE_ROW, dp + i * SCORE_ROW, from, to, logSum, load<f32>(inner + i * 4));
        }
        addTransposed(dv + s0 * row, p, dMix, row, queries, count);
        addTransposed(dk + s0 * row, dp, q, row, queries, count);
        addWeighted(dq, dp, keyRows + s0 * row, row, queries, count);
      }
      if (arg(14)) storeRows(arg(14) + at, queryStride, dq, row, queries, E, argF32(5), (arg(17) & 1) != 0);
    }
  }
  if (arg(15)) storeRows(arg(15) + kvAt, keyStride, dk, row, rows, E, 1, (arg(17) & 2) != 0);
  if (arg(16)) storeRows(arg(16) + kvAt, keyStride, dv, row, rows, E, 1, (arg(17) & 4) != 0);
}

/** p ← exp(score − logSum), dp ← p · (dp − m); zeros outside [from, to). */
function slopeRow(p: usize, dp: usize, from: usize, to: usize, logSum: f32, m: f32): void {
  if (to <= from) {
    memory.fill(p, 0, SCORE_ROW);
    return memory.fill(dp, 0, SCORE_ROW);
  }
  const l = f32x4.splat(logSum);
  const mean = f32x4.splat(m);
  for (let s: usize = 0; s < KEYS; s += 4) {
    if (s >= to || s + 4 <= from) {
      v128.store(p + s * 4, f32x4.splat(0));
      v128.store(dp + s * 4, f32x4.splat(0));
      continue;
    }
    let value = exp4(f32x4.sub(v128.load(p + s * 4), l));
    let slope = f32x4.mul(value, f32x4.sub(v128.load(dp + s * 4), mean));
    if (s < from || s + 4 > to) {
      value = masked(value, s, from, to);
      slope = masked(slope, s, from, to);
    }
    v128.store(p + s * 4, value);
    v128.store(dp + s * 4, slope);
  }
}

function storeRows(
  target: usize,
  stride: usize,
  source: usize,
  row: usize,
  rows: usize,
  E: usize,
  factor: f32,
  add: bool,
): void {
  for (let r: usize = 0; r < rows; r++) {
    for (let e: usize = 0; e < E; e++) {
      const at = target + r * stride + e * 4;
      const value = factor * load<f32>(source + r * row + e * 4);
      store<f32>(at, add ? load<f32>(at) + value : value);
    }
  }
}
