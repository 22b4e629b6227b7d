// Attention over the paged KV cache, by online softmax: the cache is streamed once for all query heads of a group.
//
//   score_s = q·k_s / √E      m = max score, l = Σ exp(score − m), o = Σ exp(score − m)·v      mix = o / l
//
// The keys of a sequence are cut into blocks of 32 positions and splits of 16 blocks, both by absolute position. Within a split, blocks
// are folded one after the other; then the splits, in order. The structure depends on the key positions alone, so neither chunking,
// batch, block table nor threads change a bit. Keys that are not visible take part in nothing.
// Source  Milakov & Gimelshein 2018, arXiv:1805.02867 (online softmax); Dao 2023, arXiv:2307.08691; splits: "Flash-Decoding", 2023.
import { arg, argF32, exp1, exp4, f16ToF32, madd, scalesF16 } from '../simd.assembly';
import { KV_F16, KV_F32, KV_Q8_0, keyPanelBytes, kvChunkBytes, scaleCount, valueRowBytes } from './kv.assembly';

const SPLIT_BLOCKS: i32 = 16;
/** Query rows that share a pass over the keys. */
const TILE_ROWS: i32 = 8;

// Arguments: 0 type, 1 layer base, 2 K, 3 E, 4 q, 5 mix, 6 tiles, 7 G (query heads a key head), 8 window (0: none), 9 1/√E (f32),
// 10 splits shared out (0: each unit does all), 11 partial results, 12 scratch, 13 scratch bytes a thread, 14 head groups of at most 8
//
// A tile: first row, rows (tokens), position of the first, block table. Unit = ((tile · K + head) · head groups + group) · splits + split.
// A partial result: 8 rows of E' floats, then 8 m, 8 l.

@inline
function paddedE(): usize {
  return (arg(3) + 7) & ~7;
}
@inline
export function partialBytes(): usize {
  return (<usize>TILE_ROWS * paddedE() + 2 * TILE_ROWS) * 4;
}

export function attention(first: i32, last: i32, thread: i32): void {
  const scratch = arg(12) + <usize>thread * arg(13);
  const splits = <i32>arg(10);
  for (let unit = first; unit < last; unit++) {
    if (splits == 0) {
      const total = scratch + 1024;
      const part = total + partialBytes();
      const count = beginTile(unit);
      let isFirst = true;
      for (let split = firstSplit(); split < count; split++) {
        attendSplit(isFirst ? total : part, split, scratch);
        if (!isFirst) fold(total, part);
        isFirst = false;
      }
      finish(total);
    } else {
      const split = unit % splits;
      if (split >= firstSplit0(unit / splits) && split < beginTile(unit / splits)) {
        attendSplit(arg(11) + <usize>unit * partialBytes(), split, scratch);
      }
    }
  }
}

/** Folds the shared-out splits of each tile. Unit = (tile · K + head) · head groups + group. */
export function attentionCombine(first: i32, last: i32): void {
  const splits = <i32>arg(10);
  for (let unit = first; unit < last; unit++) {
    const count = beginTile(unit);
    const begin = firstSplit();
    const parts = arg(11) + <usize>(unit * splits) * partialBytes();
    const total = parts + <usize>begin * partialBytes();
    for (let split = begin + 1; split < count; split++) fold(total, parts + <usize>split * partialBytes());
    finish(total);
  }
}

// The tile at hand: these globals belong to the instance, and so to the thread.
let tileRow: i32 = 0;
let tileTokens: i32 = 0;
let tilePosition: i32 = 0;
let tileTable: usize = 0;
let head: usize = 0;
let firstHead: i32 = 0;
let heads: i32 = 0;

/** Reads the tile of a unit; returns its number of splits. */
function beginTile(unit: i32): i32 {
  const groups = <i32>arg(14);
  const K = <i32>arg(2);
  const G = <i32>arg(7);
  const tile = arg(6) + <usize>(unit / groups / K) * 16;
  head = (unit / groups) % K;
  firstHead = (unit % groups) * TILE_ROWS;
  heads = min(TILE_ROWS, G - firstHead);
  tileRow = load<i32>(tile);
  tileTokens = load<i32>(tile, 4);
  tilePosition = load<i32>(tile, 8);
  tileTable = load<u32>(tile, 12);
  return ((tilePosition + tileTokens - 1) >> 5) / SPLIT_BLOCKS + 1;
}
@inline
function firstVisible(position: i32): i32 {
  const window = <i32>arg(8);
  return window == 0 ? 0 : max(0, position - window + 1);
}
function firstSplit(): i32 {
  return (firstVisible(tilePosition) >> 5) / SPLIT_BLOCKS;
}
function firstSplit0(unit: i32): i32 {
  beginTile(unit);
  return firstSplit();
}

/** Address of query row r's E numbers, in an array of [N, H·E]. Rows: token after token, heads of the group side by side. */
@inline
function rowAt(base: usize, r: i32): usize {
  const token = tileRow + r / heads;
  const h = <i32>head * <i32>arg(7) + firstHead + (r % heads);
  return base + (<usize>token * arg(2) * arg(7) + h) * arg(3) * 4;
}

/** One split of the tile: m, l, o of all its rows. */
function attendSplit(out: usize, split: i32, scratch: usize): void {
  const type = <i32>arg(0);
  if (type == KV_F32) attendBlocks(KV_F32, out, split, scratch);
  else if (type == KV_F16) attendBlocks(KV_F16, out, split, scratch);
  else attendBlocks(KV_Q8_0, out, split, scratch);
}

@inline
function attendBlocks(type: i32, out: usize, split: i32, scratch: usize): void {
  const E = arg(3);
  const rows = tileTokens * heads;
  const stride = paddedE() * 4;
  const maxima = out + TILE_ROWS * stride;
  memory.fill(out, 0, partialBytes());
  for (let r = 0; r < rows; r++) store<f32>(maxima + (r << 2), -Infinity);
  const lastPosition = tilePosition + tileTokens - 1;
  const begin = max(split * SPLIT_BLOCKS, firstVisible(tilePosition) >> 5);
  const end = min((split + 1) * SPLIT_BLOCKS, (lastPosition >> 5) + 1);
  for (let b = begin; b < end; b++) {
    const chunk = arg(1) + (load<u32>(tileTable + (b << 2)) * arg(2) + head) * kvChunkBytes(type, E);
    const values = chunk + 4 * keyPanelBytes(type, E);
    let r = 0;
    for (; r + 4 <= rows; r += 4) scoresFour(type, scratch + (r << 7), r, chunk);
    for (; r < rows; r++) scoresOne(type, scratch + (r << 7), r, chunk);
    for (r = 0; r < rows; r++) softmaxRow(scratch + (r << 7), out, maxima, r, b);
    r = 0;
    for (; r + 4 <= rows; r += 4) {
      const from = fromSlot(r, b);
      const to = toSlot(r, b);
      if (from == fromSlot(r + 3, b) && to == toSlot(r + 3, b)) {
        mixFour(type, out + r * stride, scratch + (r << 7), values, from, to);
      } else {
        for (let i = r; i < r + 4; i++) {
          mixOne(type, out + i * stride, scratch + (i << 7), values, fromSlot(i, b), toSlot(i, b));
        }
      }
    }
    for (; r < rows; r++) mixOne(type, out + r * stride, scratch + (r << 7), values, fromSlot(r, b), toSlot(r, b));
  }
}

/** Row r sees the positions from … to − 1 of block b. */
@inline
function fromSlot(r: i32, b: i32): i32 {
  return max(0, firstVisible(tilePosition + r / heads) - (b << 5));
}
@inline
function toSlot(r: i32, b: i32): i32 {
  return min(32, tilePosition + r / heads + 1 - (b << 5));
}

/** Numbers of 4 positions (`second`: the later 4 of a panel) in column e, as f32. */
@inline
function keys(type: i32, at: usize, second: bool, scale: v128): v128 {
  if (type == KV_F32) return second ? v128.load(at, 16) : v128.load(at);
  if (type == KV_F16) return wideF16(second ? v128.load16x4_s(at, 8) : v128.load16x4_s(at));
  const wide = v128.load8x8_s(at);
  const four = second ? i32x4.extend_high_i16x8_s(wide) : i32x4.extend_low_i16x8_s(wide);
  return f32x4.mul(f32x4.convert_i32x4_s(four), scale);
}

/** Four sign-extended f16 → f32, infinities and NaN included. */
@inline
function wideF16(wide: v128): v128 {
  const bits = v128.and(i32x4.shl(wide, 13), i32x4.splat(<i32>0x8fffe000));
  const isSpecial = i32x4.gt_s(v128.and(bits, i32x4.splat(0x7fffffff)), i32x4.splat(0x0f7fffff));
  return v128.or(scalesF16(wide), v128.and(isSpecial, i32x4.splat(0x7f800000)));
}

@inline
function columnStep(type: i32): usize {
  return type == KV_F32 ? 32 : type == KV_F16 ? 16 : 8;
}

/** Scales of a q8_0 panel's 4 positions, at column block e / 32. */
@inline
function keyScales(type: i32, panel: usize, e: usize, second: bool): v128 {
  if (type != KV_Q8_0) return f32x4.splat(1);
  return wideF16(second ? v128.load16x4_s(panel + (e >> 5) * 16, 8) : v128.load16x4_s(panel + (e >> 5) * 16));
}

/** Scores of 4 query rows with the 32 positions of a block, 16 at a time. */
@inline
function scoresFour(type: i32, scores: usize, r: i32, chunk: usize): void {
  const E = arg(3);
  const bytes = keyPanelBytes(type, E);
  const factor = f32x4.splat(argF32(9));
  for (let half = 0; half < 2; half++, chunk += 2 * bytes, scores += 64) {
    let q0 = rowAt(arg(4), r);
    let q1 = rowAt(arg(4), r + 1);
    let q2 = rowAt(arg(4), r + 2);
    let q3 = rowAt(arg(4), r + 3);
    let k = chunk + (type == KV_Q8_0 ? scaleCount(E) * 16 : 0);
    let a00 = f32x4.splat(0), a01 = f32x4.splat(0), a02 = f32x4.splat(0), a03 = f32x4.splat(0);
    let a10 = f32x4.splat(0), a11 = f32x4.splat(0), a12 = f32x4.splat(0), a13 = f32x4.splat(0);
    let a20 = f32x4.splat(0), a21 = f32x4.splat(0), a22 = f32x4.splat(0), a23 = f32x4.splat(0);
    let a30 = f32x4.splat(0), a31 = f32x4.splat(0), a32 = f32x4.splat(0), a33 = f32x4.splat(0);
    for (let e: usize = 0; e < E; ) {
      const stop = type == KV_Q8_0 ? min(E, e + 32) : E;
      const s0 = keyScales(type, chunk, e, false);
      const s1 = keyScales(type, chunk, e, true);
      const s2 = keyScales(type, chunk + bytes, e, false);
      const s3 = keyScales(type, chunk + bytes, e, true);
      for (; e < stop; e++, q0 += 4, q1 += 4, q2 += 4, q3 += 4, k += columnStep(type)) {
        const k0 = keys(type, k, false, s0);
        const k1 = keys(type, k, true, s1);
        const k2 = keys(type, k + bytes, false, s2);
        const k3 = keys(type, k + bytes, true, s3);
        let q = v128.load32_splat(q0);
        a00 = madd(k0, q, a00);
        a01 = madd(k1, q, a01);
        a02 = madd(k2, q, a02);
        a03 = madd(k3, q, a03);
        q = v128.load32_splat(q1);
        a10 = madd(k0, q, a10);
        a11 = madd(k1, q, a11);
        a12 = madd(k2, q, a12);
        a13 = madd(k3, q, a13);
        q = v128.load32_splat(q2);
        a20 = madd(k0, q, a20);
        a21 = madd(k1, q, a21);
        a22 = madd(k2, q, a22);
        a23 = madd(k3, q, a23);
        q = v128.load32_splat(q3);
        a30 = madd(k0, q, a30);
        a31 = madd(k1, q, a31);
        a32 = madd(k2, q, a32);
        a33 = madd(k3, q, a33);
      }
    }
    v128.store(scores, f32x4.mul(a00, factor));
    v128.store(scores, f32x4.mul(a01, factor), 16);
    v128.store(scores, f32x4.mul(a02, factor), 32);
    v128.store(scores, f32x4.mul(a03, factor), 48);
    v128.store(scores, f32x4.mul(a10, factor), 128);
    v128.store(scores, f32x4.mul(a11, factor), 144);
    v128.store(scores, f32x4.mul(a12, factor), 160);
    v128.store(scores, f32x4.mul(a13, factor), 176);
    v128.store(scores, f32x4.mul(a20, factor), 256);
    v128.store(scores, f32x4.mul(a21, factor), 272);
    v128.store(scores, f32x4.mul(a22, factor), 288);
    v128.store(scores, f32x4.mul(a23, factor), 304);
    v128.store(scores, f32x4.mul(a30, factor), 384);
    v128.store(scores, f32x4.mul(a31, factor), 400);
    v128.store(scores, f32x4.mul(a32, factor), 416);
    v128.store(scores, f32x4.mul(a33, factor), 432);
  }
}

/** Scores of one query row with the 32 positions of a block. */
@inline
function scoresOne(type: i32, scores: usize, r: i32, chunk: usize): void {
  const E = arg(3);
  const bytes = keyPanelBytes(type, E);
  const factor = f32x4.splat(argF32(9));
  for (let half = 0; half < 2; half++, chunk += 2 * bytes, scores += 64) {
    let q = rowAt(arg(4), r);
    let k = chunk + (type == KV_Q8_0 ? scaleCount(E) * 16 : 0);
    let a0 = f32x4.splat(0), a1 = f32x4.splat(0), a2 = f32x4.splat(0), a3 = f32x4.splat(0);
    for (let e: usize = 0; e < E; ) {
      const stop = type == KV_Q8_0 ? min(E, e + 32) : E;
      const s0 = keyScales(type, chunk, e, false);
      const s1 = keyScales(type, chunk, e, true);
      const s2 = keyScales(type, chunk + bytes, e, false);
      const s3 = keyScales(type, chunk + bytes, e, true);
      for (; e < stop; e++, q += 4, k += columnStep(type)) {
        const qs = v128.load32_splat(q);
        a0 = madd(keys(type, k, false, s0), qs, a0);
        a1 = madd(keys(type, k, true, s1), qs, a1);
        a2 = madd(keys(type, k + bytes, false, s2), qs, a2);
        a3 = madd(keys(type, k + bytes, true, s3), qs, a3);
      }
    }
    v128.store(scores, f32x4.mul(a0, factor));
    v128.store(scores, f32x4.mul(a1, factor), 16);
    v128.store(scores, f32x4.mul(a2, factor), 32);
    v128.store(scores, f32x4.mul(a3, factor), 48);
  }
}

/** scores → exp(score − m), with m, l and o of the row brought up to date. */
function softmaxRow(scores: usize, out: usize, maxima: usize, r: i32, b: i32): void {
  const from = fromSlot(r, b);
  const to = toSlot(r, b);
  if (from >= to) return;
  if (from > 0 || to < 32) {
    for (let s = 0; s < from; s++) store<f32>(scores + (s << 2), -Infinity);
    for (let s = to; s < 32; s++) store<f32>(scores + (s << 2), -Infinity);
  }
  let largest = v128.load(scores);
  for (let i: usize = 16; i < 128; i += 16) largest = f32x4.max(largest, v128.load(scores + i));
  const before = load<f32>(maxima + (r << 2));
  const m = max(
    before,
    max(
      max(f32x4.extract_lane(largest, 0), f32x4.extract_lane(largest, 1)),
      max(f32x4.extract_lane(largest, 2), f32x4.extract_lane(largest, 3)),
    ),
  );
  const shift = f32x4.splat(m);
  let sum0 = f32x4.splat(0);
  let sum1 = f32x4.splat(0);
  for (let i: usize = 0; i < 128; i += 32) {
    const p0 = exp4(f32x4.sub(v128.load(scores + i), shift));
    const p1 = exp4(f32x4.sub(v128.load(scores + i, 16), shift));
    v128.store(scores + i, p0);
    v128.store(scores + i, p1, 16);
    sum0 = f32x4.add(sum0, p0);
    sum1 = f32x4.add(sum1, p1);
  }
  const sums = f32x4.add(sum0, sum1);
  const sum =
    f32x4.extract_lane(sums, 0) +
    f32x4.extract_lane(sums, 1) +
    (f32x4.extract_lane(sums, 2) + f32x4.extract_lane(sums, 3));
  const lAt = maxima + 32 + (r << 2);
  store<f32>(maxima + (r << 2), m);
  if (m == before) {
    store<f32>(lAt, load<f32>(lAt) + sum);
    return;
  }
  const shrink = exp1(before - m);
  store<f32>(lAt, load<f32>(lAt) * shrink + sum);
  scaleRow(out + <usize>r * paddedE() * 4, shrink);
}

function scaleRow(o: usize, factor: f32): void {
  const factors = f32x4.splat(factor);
  for (let e: usize = 0; e < paddedE() * 4; e += 32) {
    v128.store(o + e, f32x4.mul(v128.load(o + e), factors));
    v128.store(o + e, f32x4.mul(v128.load(o + e, 16), factors), 16);
  }
}

/** Four columns of a value row as f32 (`second`: the later four of 8 at column e). */
@inline
function valuesAt(type: i32, row: usize, e: usize, second: bool, E: usize): v128 {
  if (type == KV_F32) return second ? v128.load(row + e * 4, 16) : v128.load(row + e * 4);
  if (type == KV_F16) return wideF16(second ? v128.load16x4_s(row + e * 2, 8) : v128.load16x4_s(row + e * 2));
  const wide = v128.load8x8_s(row + e);
  const four = second ? i32x4.extend_high_i16x8_s(wide) : i32x4.extend_low_i16x8_s(wide);
  const scale = f16ToF32(load<u16>(row + ((E + 7) & ~7) + (e >> 5) * 2));
  return f32x4.mul(f32x4.convert_i32x4_s(four), f32x4.splat(scale));
}

/** o += Σ p_s · v_s for 4 rows that see the same positions, 8 columns at a time. */
@inline
function mixFour(type: i32, o: usize, p: usize, values: usize, from: i32, to: i32): void {
  const E = arg(3);
  const bytes = valueRowBytes(type, E);
  const stride = paddedE() * 4;
  for (let e: usize = 0; e < paddedE(); e += 8) {
    let at = o + e * 4;
    let a00 = v128.load(at);
    let a01 = v128.load(at, 16);
    at += stride;
    let a10 = v128.load(at);
    let a11 = v128.load(at, 16);
    at += stride;
    let a20 = v128.load(at);
    let a21 = v128.load(at, 16);
    at += stride;
    let a30 = v128.load(at);
    let a31 = v128.load(at, 16);
    let v = values + <usize>from * bytes;
    for (let s = from; s < to; s++, v += bytes) {
      const v0 = valuesAt(type, v, e, false, E);
      const v1 = valuesAt(type, v, e, true, E);
      let ps = v128.load32_splat(p + (s << 2));
      a00 = madd(v0, ps, a00);
      a01 = madd(v1, ps, a01);
      ps = v128.load32_splat(p + (s << 2), 128);
      a10 = madd(v0, ps, a10);
      a11 = madd(v1, ps, a11);
      ps = v128.load32_splat(p + (s << 2), 256);
      a20 = madd(v0, ps, a20);
      a21 = madd(v1, ps, a21);
      ps = v128.load32_splat(p + (s << 2), 384);
      a30 = madd(v0, ps, a30);
      a31 = madd(v1, ps, a31);
    }
    at = o + e * 4;
    v128.store(at, a00);
    v128.store(at, a01, 16);
    at += stride;
    v128.store(at, a10);
    v128.store(at, a11, 16);
    at += stride;
    v128.store(at, a20);
    v128.store(at, a21, 16);
    at += stride;
    v128.store(at, a30);
    v128.store(at, a31, 16);
  }
}

@inline
function mixOne(type: i32, o: usize, p: usize, values: usize, from: i32, to: i32): void {
  const E = arg(3);
  const bytes = valueRowBytes(type, E);
  for (let e: usize = 0; e < paddedE(); e += 8, o += 32) {
    let a0 = v128.load(o);
    let a1 = v128.load(o, 16);
    let v = values + <usize>from * bytes;
    for (let s = from; s < to; s++, v += bytes) {
      const ps = v128.load32_splat(p + (s << 2));
      a0 = madd(valuesAt(type, v, e, false, E), ps, a0);
      a1 = madd(valuesAt(type, v, e, true, E), ps, a1);
    }
    v128.store(o, a0);
    v128.store(o, a1, 16);
  }
}

/** total ← total and then part, as if its keys had come later. */
function fold(total: usize, part: usize): void {
  const stride = paddedE() * 4;
  const maxima = TILE_ROWS * stride;
  for (let r: usize = 0; r < <usize>(tileTokens * heads); r++) {
    const at = maxima + r * 4;
    const m1 = load<f32>(total + at);
    const m2 = load<f32>(part + at);
    if (m2 == -Infinity) continue;
    if (m1 == -Infinity) {
      memory.copy(total + r * stride, part + r * stride, stride);
      store<f32>(total + at, m2);
      store<f32>(total + at + 32, load<f32>(part + at + 32));
      continue;
    }
    const m = max(m1, m2);
    const f1 = exp1(m1 - m);
    const f2 = exp1(m2 - m);
    store<f32>(total + at, m);
    store<f32>(total + at + 32, load<f32>(total + at + 32) * f1 + load<f32>(part + at + 32) * f2);
    const factor1 = f32x4.splat(f1);
    const factor2 = f32x4.splat(f2);
    const o1 = total + r * stride;
    const o2 = part + r * stride;
    for (let e: usize = 0; e < stride; e += 16) {
      v128.store(
        o1 + e,
        f32x4.add(f32x4.mul(v128.load(o1 + e), factor1), f32x4.mul(v128.load(o2 + e), factor2)),
      );
    }
  }
}

/** mix = o / l. */
function finish(total: usize): void {
  const E = arg(3);
  const stride = paddedE() * 4;
  for (let r = 0; r < tileTokens * heads; r++) {
    const l = load<f32>(total + TILE_ROWS * stride + 32 + (r << 2));
    const o = total + <usize>r * stride;
    const out = rowAt(arg(5), r);
    for (let e: usize = 0; e < E; e++) store<f32>(out + e * 4, load<f32>(o + e * 4) / l);
  }
}
