// Attention for training: whole sequences, forward with the log-sum-exp and backward from it, in blocks of 48 queries × 96 keys.
// The formulas are those of backward.reference.ts; the products are the GEMM's register tile on blocks that stay in the cache, and
// skip the tiles above the diagonal: blocks begin at whole tiles, so that a tile of six queries ends with a tile of six keys.
// Unit = one key/value head of one sequence: nobody else writes its gradients, so the sums have one order.
import { dropoutInPlace, dropoutRow } from '../dropout/assembly';
import { packPanel } from '../gemm/assembly';
import { tile } from '../gemm/tile.assembly';
import { arg, argF32, exp1, exp4, lnTwoHigh, lnTwoLow, one, sumLanes, tanh4 } from '../simd.assembly';
import { KEY_BLOCK, QUERY_BLOCK, TILE_COLUMNS, TILE_ROWS } from '../training-tasks';

const QUERIES: usize = QUERY_BLOCK;
const KEYS: usize = KEY_BLOCK;
const ROWS: usize = TILE_ROWS;
const COLUMNS: usize = TILE_COLUMNS;

const SCORE_ROW: usize = KEYS * 4;
const BLOCK_BYTES: usize = QUERIES * SCORE_ROW;

/**
 * Arguments of both tasks: 0 units (per unit: first row, row count, kv head), 1 H, 2 K, 3 E, 4 window (0: none), 5 scale (with a cap: scale / cap),
 * 6 scratch, 7 bytes of scratch per thread, 8 q, 9 k, 10 v, 11 mix, 12 logSumExp, 18 cap (f32; 0: none), 19 sinks (a query head; 0: none);
 * 20 dropout's threshold (0: none), 21 its factor (f32), 22 key, 23 firstToken;
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
  const row = roundUp(E, 16) * 4;
  const f = f32x4.splat(factor);
  if (row != E * 4) memory.fill(target, 0, allRows * row);
  else memory.fill(target + rows * row, 0, (allRows - rows) * row);
  for (let r: usize = 0; r < rows; r++, source += stride, target += row) {
    let e: usize = 0;
    for (; e + 8 <= E; e += 8) {
      const a = f32x4.mul(f, v128.load(source + e * 4)), b = f32x4.mul(f, v128.load(source + e * 4, 16));
      v128.store(target + e * 4, a);
      v128.store(target + e * 4, b, 16);
    }
    for (; e < E; e++) store<f32>(target + e * 4, factor * load<f32>(source + e * 4));
  }
}

/** Keys (or values) of one head as panels of 16 rows for each e: what the scores multiply with. */
function packKeys(target: usize, source: usize, stride: usize, rows: usize, E: usize): void {
  for (let s: usize = 0; s < roundUp(rows, KEYS); s += COLUMNS) {
    const have = s < rows ? min<usize>(COLUMNS, rows - s) : 0;
    packPanel(target + s * E * 4, source + s * stride, stride, 4, have, E, COLUMNS);
  }
}

/** Keys of a block that the tile of queries at q0 + i sees at most, `count` being those of the block. */
// @ts-expect-error: decorator
@inline
function seenBy(i: usize, q0: usize, s0: usize, count: usize): usize {
  const last = q0 + i + ROWS;
  return last <= s0 ? 0 : min<usize>(count, last - s0);
}

/** scores[i][s] = a_i · key_s for the keys that tiles of queries see. */
function scoresOf(scores: usize, a: usize, row: usize, keys: usize, q0: usize, queries: usize, s0: usize, count: usize): void {
  const E = arg(3);
  for (let i: usize = 0; i < queries; i += ROWS) {
    const seen = seenBy(i, q0, s0, count);
    for (let s: usize = 0; s < seen; s += COLUMNS) {
      tile(scores + i * SCORE_ROW + s * 4, SCORE_ROW, a + i * row, row, 4, keys + s * E * 4, COLUMNS * 4, E, false);
    }
  }
}

/** target[i][e] += Σ_s weights[i][s] · values[s][e] over the keys that tiles of queries see. */
function addWeighted(
  target: usize,
  weights: usize,
  values: usize,
  row: usize,
  q0: usize,
  queries: usize,
  s0: usize,
  count: usize,
): void {
  for (let e: usize = 0; e < row; e += COLUMNS * 4) {
    for (let i: usize = 0; i < queries; i += ROWS) {
      const seen = seenBy(i, q0, s0, count);
      tile(target + i * row + e, row, weights + i * SCORE_ROW, SCORE_ROW, 4, values + e, row, seen, true);
    }
  }
}

/** target[s][e] += Σ_i weights[i][s] · rows[i][e] over the queries that see a tile of keys. */
function addTransposed(
  target: usize,
  weights: usize,
  rows: usize,
  row: usize,
  q0: usize,
  queries: usize,
  s0: usize,
  count: usize,
): void {
  for (let e: usize = 0; e < row; e += COLUMNS * 4) {
    for (let s: usize = 0; s < count; s += ROWS) {
      const i = s0 + s > q0 ? s0 + s - q0 : 0;
      if (i >= queries) break;
      const from = weights + i * SCORE_ROW + s * 4;
      tile(target + s * row + e, row, from, 4, SCORE_ROW, rows + i * row + e, row, queries - i, true);
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
  const cap = argF32(18);

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
      copyRows(q, arg(8) + at, queryStride, queries, roundUp(queries, ROWS), E, argF32(5));
      memory.fill(mix, 0, QUERIES * row);
      for (let i: usize = 0; i < queries; i++) {
        store<f32>(peak + i * 4, -Infinity);
        store<f32>(sums + i * 4, 0);
      }
      const end = q0 + queries;
      for (let s0 = firstBlock(q0, window); s0 < end; s0 += KEYS) {
        const count = min<usize>(KEYS, end - s0);
        scoresOf(scores, q, row, keys + s0 * E * 4, q0, queries, s0, count);
        for (let i: usize = 0; i < queries; i++) {
          const from = firstKey(q0 + i, s0, window);
          const to = keyEnd(q0 + i, s0, count);
          const all = roundUp(seenBy(i - (i % ROWS), q0, s0, count), COLUMNS);
          if (cap != 0) tanhRow(scores + i * SCORE_ROW, all, cap);
          softmaxRow(scores + i * SCORE_ROW, from, to, all, peak + i * 4, sums + i * 4, mix + i * row, row);
          if (arg(20)) dropRow(scores + i * SCORE_ROW, all, firstRow, q0 + i, s0, h);
        }
        addWeighted(mix, scores, values + s0 * row, row, q0, queries, s0, count);
      }
      for (let i: usize = 0; i < queries; i++) {
        let sum = load<f32>(sums + i * 4);
        // A score without a key: it takes its share, and adds nothing.
        if (arg(19)) sum += <f32>NativeMath.exp(<f64>load<f32>(arg(19) + h * 4) - <f64>load<f32>(peak + i * 4));
        storeRows(arg(11) + at + i * queryStride, queryStride, mix + i * row, row, 1, E, <f32>1 / sum, false);
        const logSum = <f32>(<f64>load<f32>(peak + i * 4) + NativeMath.log(<f64>sum));
        store<f32>(arg(12) + ((firstRow + q0 + i) * H + h) * 4, logSum);
      }
    }
  }
}

/** Drops of a row of probabilities (or of their gradients), those of a query and of the keys from s0 on: by their distance. */
function dropRow(x: usize, all: usize, firstRow: usize, position: usize, s0: usize, h: usize): void {
  const base = dropoutRow(<u32>arg(22), <u32>arg(23) + <u32>(firstRow + position), <u32>h);
  dropoutInPlace(x, all, base, <u32>(position - s0), -1, <u32>arg(20), argF32(21));
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

/** Numbers [0, from) and [to, all) of a row ← value. */
function fillOutside(x: usize, from: usize, to: usize, all: usize, value: f32): void {
  const wide = f32x4.splat(value);
  let s: usize = 0;
  for (; s + 4 <= from; s += 4) v128.store(x + s * 4, wide);
  for (; s < from; s++) store<f32>(x + s * 4, value);
  for (s = to; s < all && (s & 3) != 0; s++) store<f32>(x + s * 4, value);
  for (; s < all; s += 4) v128.store(x + s * 4, wide);
}

/**
 * One row of scores → exp(score − peak), zeros in [0, from) and [to, all); what was summed before is brought to the new peak.
 * `all` is a multiple of 16.
 */
function softmaxRow(
  x: usize,
  from: usize,
  to: usize,
  all: usize,
  peak: usize,
  sum: usize,
  mix: usize,
  row: usize,
): void {
  if (to <= from) return memory.fill(x, 0, all * 4);
  fillOutside(x, from, to, all, -Infinity);
  const end = x + all * 4;
  const old = load<f32>(peak);
  let tops0 = f32x4.splat(old), tops1 = tops0, tops2 = tops0, tops3 = tops0;
  for (let p = x; p < end; p += 64) {
    tops0 = f32x4.pmax(tops0, v128.load(p));
    tops1 = f32x4.pmax(tops1, v128.load(p, 16));
    tops2 = f32x4.pmax(tops2, v128.load(p, 32));
    tops3 = f32x4.pmax(tops3, v128.load(p, 48));
  }
  let tops = f32x4.pmax(f32x4.pmax(tops0, tops1), f32x4.pmax(tops2, tops3));
  tops = f32x4.pmax(tops, v128.shuffle<f32>(tops, tops, 2, 3, 0, 1));
  tops = f32x4.pmax(tops, v128.shuffle<f32>(tops, tops, 1, 0, 3, 2));
  const high = lnTwoHigh(), low = lnTwoLow();
  let total0 = f32x4.splat(0), total1 = f32x4.splat(0);
  for (let p = x; p < end; p += 32) {
    const p0 = exp4(f32x4.sub(v128.load(p), tops), high, low);
    const p1 = exp4(f32x4.sub(v128.load(p, 16), tops), high, low);
    total0 = f32x4.add(total0, p0);
    total1 = f32x4.add(total1, p1);
    v128.store(p, p0);
    v128.store(p, p1, 16);
  }
  const top = f32x4.extract_lane(tops, 0);
  const factor = old == -Infinity ? <f32>0 : exp1(old - top);
  store<f32>(peak, top);
  store<f32>(sum, load<f32>(sum) * factor + sumLanes(f32x4.add(total0, total1)));
  if (factor == 1) return;
  const f = f32x4.splat(factor);
  for (let e: usize = 0; e < row; e += 32) {
    const a = f32x4.mul(f, v128.load(mix + e)), b = f32x4.mul(f, v128.load(mix + e, 16));
    v128.store(mix + e, a);
    v128.store(mix + e, b, 16);
  }
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
  const cap = argF32(18);

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
      copyRows(q, arg(8) + at, queryStride, queries, roundUp(queries, ROWS), E, argF32(5));
      copyRows(dMix, arg(13) + at, queryStride, queries, roundUp(queries, ROWS), E, 1);
      memory.fill(dq, 0, QUERIES * row);
      for (let i: usize = 0; i < queries; i++) {
        store<f32>(inner + i * 4, dot(dMix + i * row, arg(11) + at + i * queryStride, E));
      }
      const end = q0 + queries;
      for (let s0 = firstBlock(q0, window); s0 < end; s0 += KEYS) {
        const count = min<usize>(KEYS, end - s0);
        scoresOf(p, q, row, keys + s0 * E * 4, q0, queries, s0, count);
        scoresOf(dp, dMix, row, values + s0 * E * 4, q0, queries, s0, count);
        for (let i: usize = 0; i < queries; i++) {
          const from = firstKey(q0 + i, s0, window);
          const to = keyEnd(q0 + i, s0, count);
          const all = roundUp(seenBy(i - (i % ROWS), q0, s0, count), COLUMNS);
          const logSum = load<f32>(arg(12) + ((firstRow + q0 + i) * H + h) * 4);
          const m = load<f32>(inner + i * 4);
          if (arg(20)) dropRow(dp + i * SCORE_ROW, all, firstRow, q0 + i, s0, h);
          if (cap == 0) slopeRow(p + i * SCORE_ROW, dp + i * SCORE_ROW, from, to, all, logSum, m);
          else cappedSlopeRow(p + i * SCORE_ROW, dp + i * SCORE_ROW, from, to, all, logSum, m, cap);
          if (arg(20)) dropRow(p + i * SCORE_ROW, all, firstRow, q0 + i, s0, h);
        }
        addTransposed(dv + s0 * row, p, dMix, row, q0, queries, s0, count);
        addTransposed(dk + s0 * row, dp, q, row, q0, queries, s0, count);
        addWeighted(dq, dp, keyRows + s0 * row, row, q0, queries, s0, count);
      }
      if (arg(14)) storeRows(arg(14) + at, queryStride, dq, row, queries, E, argF32(5), (arg(17) & 1) != 0);
    }
  }
  if (arg(15)) storeRows(arg(15) + kvAt, keyStride, dk, row, rows, E, 1, (arg(17) & 2) != 0);
  if (arg(16)) storeRows(arg(16) + kvAt, keyStride, dv, row, rows, E, 1, (arg(17) & 4) != 0);
}

/** p ← exp(score − logSum), dp ← p · (dp − m); zeros in [0, from) and [to, all). */
function slopeRow(p: usize, dp: usize, from: usize, to: usize, all: usize, logSum: f32, m: f32): void {
  if (to <= from) {
    memory.fill(p, 0, all * 4);
    return memory.fill(dp, 0, all * 4);
  }
  fillOutside(p, from, to, all, -Infinity);
  fillOutside(dp, from, to, all, 0);
  const l = f32x4.splat(logSum);
  const mean = f32x4.splat(m);
  const high = lnTwoHigh(), low = lnTwoLow();
  for (let s: usize = 0; s < all * 4; s += 32) {
    const p0 = exp4(f32x4.sub(v128.load(p + s), l), high, low);
    const p1 = exp4(f32x4.sub(v128.load(p + s, 16), l), high, low);
    const d0 = f32x4.mul(p0, f32x4.sub(v128.load(dp + s), mean));
    const d1 = f32x4.mul(p1, f32x4.sub(v128.load(dp + s, 16), mean));
    v128.store(p + s, p0);
    v128.store(p + s, p1, 16);
    v128.store(dp + s, d0);
    v128.store(dp + s, d1, 16);
  }
}

/** x ← factor · tanh x */
function tanhRow(x: usize, all: usize, factor: f32): void {
  const factors = f32x4.splat(factor);
  const high = lnTwoHigh(), low = lnTwoLow();
  for (let at = x; at < x + all * 4; at += 32) {
    const a = f32x4.mul(factors, tanh4(v128.load(at), high, low));
    const b = f32x4.mul(factors, tanh4(v128.load(at, 16), high, low));
    v128.store(at, a);
    v128.store(at, b, 16);
  }
}

/** As slopeRow, where the score is cap · tanh(p): dp takes in the slope of that too. */
function cappedSlopeRow(p: usize, dp: usize, from: usize, to: usize, all: usize, logSum: f32, m: f32, cap: f32): void {
  tanhRow(p, all, 1);
  if (to <= from) {
    memory.fill(p, 0, all * 4);
    return memory.fill(dp, 0, all * 4);
  }
  fillOutside(p, from, to, all, -Infinity);
  fillOutside(dp, from, to, all, 0);
  const l = f32x4.splat(logSum);
  const mean = f32x4.splat(m);
  const caps = f32x4.splat(cap);
  const ones = one();
  const high = lnTwoHigh(), low = lnTwoLow();
  for (let s: usize = 0; s < all * 4; s += 16) {
    const tanh = v128.load(p + s);
    const t = f32x4.pmax(tanh, f32x4.neg(ones));
    const probability = exp4(f32x4.sub(f32x4.mul(caps, tanh), l), high, low);
    const slope = f32x4.mul(caps, f32x4.sub(ones, f32x4.mul(t, t)));
    const d = f32x4.mul(f32x4.mul(probability, f32x4.sub(v128.load(dp + s), mean)), slope);
    v128.store(p + s, probability);
    v128.store(dp + s, d);
  }
}

function dot(a: usize, b: usize, count: usize): f32 {
  let sum0 = f32x4.splat(0), sum1 = f32x4.splat(0);
  let i: usize = 0;
  for (; i + 8 <= count; i += 8) {
    sum0 = f32x4.add(sum0, f32x4.mul(v128.load(a + i * 4), v128.load(b + i * 4)));
    sum1 = f32x4.add(sum1, f32x4.mul(v128.load(a + i * 4, 16), v128.load(b + i * 4, 16)));
  }
  let sum = sumLanes(f32x4.add(sum0, sum1));
  for (; i < count; i++) sum += load<f32>(a + i * 4) * load<f32>(b + i * 4);
  return sum;
}

/** Rows of a head (+)= factor · rows of the scratch. */
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
  const f = f32x4.splat(factor);
  for (let r: usize = 0; r < rows; r++, target += stride, source += row) {
    let e: usize = 0;
    for (; e + 8 <= E; e += 8) {
      let low = f32x4.mul(f, v128.load(source + e * 4));
      let high = f32x4.mul(f, v128.load(source + e * 4, 16));
      if (add) {
        low = f32x4.add(low, v128.load(target + e * 4));
        high = f32x4.add(high, v128.load(target + e * 4, 16));
      }
      v128.store(target + e * 4, low);
      v128.store(target + e * 4, high, 16);
    }
    for (; e < E; e++) {
      const value = factor * load<f32>(source + e * 4);
      store<f32>(target + e * 4, add ? load<f32>(target + e * 4) + value : value);
    }
  }
}
