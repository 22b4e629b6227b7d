// Attention over the paged KV cache, by online softmax: the cache is streamed once for all query heads of a group.
//
//   score_s = scale · q·k_s (then cap · tanh(score / cap), where there is a cap)      m = max score, l = Σ exp(score − m), o = Σ exp(score − m)·v      mix = o / l
//
// The keys of a sequence are cut into blocks of 32 positions and splits of 16 blocks, both by absolute position. Within a split, blocks
// are folded one after the other; then the splits, in order. The structure depends on the key positions alone, so neither chunking,
// batch, block table nor threads change a bit. Keys that are not visible take part in nothing.
// Source  Milakov & Gimelshein 2018, arXiv:1805.02867 (online softmax); Dao 2023, arXiv:2307.08691; splits: "Flash-Decoding", 2023.
import { arg, argF32, exp1, exp4, lnTwoHigh, lnTwoLow, sumLanes, tanh4 } from '../simd.assembly';
import { CONTROL_ARGUMENTS, SPLIT_BLOCKS, TILE_HEADS } from '../tasks';
import { chunkAt, KV_F32, kvChunkBytes } from './kv.assembly';
import { mixFour, mixOne, scoresFour, scoresOne } from './block.assembly';
import { widenBlock } from './widen.assembly';


// Arguments: 0 type, 1 layer base, 2 K, 3 E, 4 q, 5 mix, 6 tiles, 7 G (query heads a key head), 8 window (0: none), 9 scale (f32),
// 10 splits shared out (0: each unit does all), 11 partial results, 12 scratch, 13 scratch bytes a thread, 14 head groups of at most 8,
// 15 rows of a tile, at most: they share a pass over the keys, 16 blocks of the layer, 17 cap of the scores (f32; 0: none),
// 18 scale / cap (f32); with a cap, 9 is 1, 19 sinks (f32 a query head; 0: none): scores without a key, which only take their share
//
// A tile: first row, rows (tokens), position of the first, block table. Unit = ((tile · K + head) · head groups + group) · splits + split.
// A partial result: the rows of E' floats, then their m, their l.

@inline
function paddedE(): usize {
  return (arg(3) + 7) & ~7;
}
/** Scores of a block, then the rows' positions and query addresses. */
@inline
function scoreBytes(): usize {
  return arg(15) * (32 + 2) * 4;
}
@inline
export function partialBytes(): usize {
  return arg(15) * (paddedE() + 2) * 4;
}

export function attention(first: i32, last: i32, thread: i32): void {
  const scratch = arg(12) + <usize>thread * arg(13);
  // scratch: rows of 32 scores, each row's position and query address, one block widened to f32, two partial results
  const splits = <i32>arg(10);
  for (let unit = first; unit < last; unit++) {
    if (splits == 0) {
      const total = scratch + scoreBytes() + 256 * paddedE();
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
  firstHead = (unit % groups) * TILE_HEADS;
  heads = min(TILE_HEADS, G - firstHead);
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
  const E = arg(3);
  const rows = tileTokens * heads;
  const chunkBytes = kvChunkBytes(type, E);
  const stride = paddedE() * 4;
  const maxima = out + arg(15) * stride;
  const wide = scratch + scoreBytes();
  const positions = scratch + arg(15) * 128;
  const queries = positions + arg(15) * 4;
  memory.fill(out, 0, partialBytes());
  for (let r = 0; r < rows; r++) {
    store<f32>(maxima + (r << 2), -Infinity);
    store<i32>(positions + (r << 2), tilePosition + r / heads);
    store<u32>(queries + (r << 2), <u32>rowAt(arg(4), r));
  }
  const lastPosition = tilePosition + tileTokens - 1;
  const begin = max(split * SPLIT_BLOCKS, firstVisible(tilePosition) >> 5);
  const end = min((split + 1) * SPLIT_BLOCKS, (lastPosition >> 5) + 1);
  for (let b = begin; b < end; b++) {
    let keys = chunkAt(arg(1), arg(16), head, load<u32>(tileTable + (b << 2)), chunkBytes);
    if (type != KV_F32) {
      widenBlock(type, wide, keys, E, min(32, lastPosition + 1 - (b << 5)));
      keys = wide;
    }
    const values = keys + E * 128;
    let r = 0;
    for (; r + 4 <= rows; r += 4) {
      const q = queries + (r << 2);
      scoresFour(scratch + (r << 7), load<u32>(q), load<u32>(q, 4), load<u32>(q, 8), load<u32>(q, 12), keys, E);
    }
    for (; r < rows; r++) scoresOne(scratch + (r << 7), load<u32>(queries + (r << 2)), keys, E);
    if (argF32(17) != 0) capScores(scratch, scratch + (rows << 7), argF32(17), argF32(18));
    for (r = 0; r < rows; r++) {
      const from = fromSlot(positions, r, b);
      const to = toSlot(positions, r, b);
      if (from < to) softmaxRow(scratch + (r << 7), out, maxima, r, from, to);
    }
    r = 0;
    for (; r + 4 <= rows; r += 4) {
      const from = fromSlot(positions, r, b);
      const to = toSlot(positions, r, b);
      if (from == fromSlot(positions, r + 3, b) && to == toSlot(positions, r + 3, b)) {
        mixFour(out + r * stride, stride, scratch + (r << 7), values, from, to);
      } else {
        for (let i = r; i < r + 4; i++) {
          const own = fromSlot(positions, i, b);
          mixOne(out + i * stride, stride, scratch + (i << 7), values, own, toSlot(positions, i, b));
        }
      }
    }
    for (; r < rows; r++) {
      const own = fromSlot(positions, r, b);
      mixOne(out + r * stride, stride, scratch + (r << 7), values, own, toSlot(positions, r, b));
    }
  }
}

/** Row r sees the positions from … to − 1 of block b. */
@inline
function fromSlot(positions: usize, r: i32, b: i32): i32 {
  return max(0, firstVisible(load<i32>(positions + (r << 2))) - (b << 5));
}
@inline
function toSlot(positions: usize, r: i32, b: i32): i32 {
  return min(32, load<i32>(positions + (r << 2)) + 1 - (b << 5));
}

/** score ← cap · tanh(score · factor). */
function capScores(scores: usize, end: usize, cap: f32, factor: f32): void {
  const caps = f32x4.splat(cap);
  const factors = f32x4.splat(factor);
  const high = lnTwoHigh();
  const low = lnTwoLow();
  for (let at = scores; at < end; at += 32) {
    const s0 = f32x4.mul(caps, tanh4(f32x4.mul(v128.load(at), factors), high, low));
    const s1 = f32x4.mul(caps, tanh4(f32x4.mul(v128.load(at, 16), factors), high, low));
    v128.store(at, s0);
    v128.store(at, s1, 16);
  }
}

/** scores → exp(score − m), with m, l and o of the row brought up to date. */
function softmaxRow(scores: usize, out: usize, maxima: usize, r: i32, from: i32, to: i32): void {
  if (from > 0 || to < 32) {
    for (let s = 0; s < from; s++) store<f32>(scores + (s << 2), -Infinity);
    for (let s = to; s < 32; s++) store<f32>(scores + (s << 2), -Infinity);
  }
  const factor = v128.load32_splat(CONTROL_ARGUMENTS + 36);
  const end = scores + 128;
  const before = load<f32>(maxima + (r << 2));
  let top0 = f32x4.splat(before);
  let top1 = top0;
  for (let at = scores; at < end; at += 32) {
    // scores that are not visible are −∞ and stay so
    const s0 = f32x4.mul(v128.load(at), factor);
    const s1 = f32x4.mul(v128.load(at, 16), factor);
    top0 = f32x4.pmax(top0, s0);
    top1 = f32x4.pmax(top1, s1);
    v128.store(at, s0);
    v128.store(at, s1, 16);
  }
  let top = f32x4.pmax(top0, top1);
  top = f32x4.pmax(top, v128.shuffle<f32>(top, top, 2, 3, 0, 1));
  top = f32x4.pmax(top, v128.shuffle<f32>(top, top, 1, 0, 3, 2));
  const high = lnTwoHigh();
  const low = lnTwoLow();
  let sum0 = f32x4.splat(0);
  let sum1 = f32x4.splat(0);
  for (let at = scores; at < end; at += 32) {
    const p0 = exp4(f32x4.sub(v128.load(at), top), high, low);
    const p1 = exp4(f32x4.sub(v128.load(at, 16), top), high, low);
    sum0 = f32x4.add(sum0, p0);
    sum1 = f32x4.add(sum1, p1);
    v128.store(at, p0);
    v128.store(at, p1, 16);
  }
  const m = f32x4.extract_lane(top, 0);
  const sum = sumLanes(f32x4.add(sum0, sum1));
  const lAt = maxima + arg(15) * 4 + (r << 2);
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
    const a = f32x4.mul(v128.load(o + e), factors);
    const b = f32x4.mul(v128.load(o + e, 16), factors);
    v128.store(o + e, a);
    v128.store(o + e, b, 16);
  }
}

/** total ← total and then part, as if its keys had come later. */
function fold(total: usize, part: usize): void {
  const stride = paddedE() * 4;
  const maxima = arg(15) * stride;
  const sums = arg(15) * 4;
  for (let r: usize = 0; r < <usize>(tileTokens * heads); r++) {
    const at = maxima + r * 4;
    const m1 = load<f32>(total + at);
    const m2 = load<f32>(part + at);
    if (m2 == -Infinity) continue;
    if (m1 == -Infinity) {
      memory.copy(total + r * stride, part + r * stride, stride);
      store<f32>(total + at, m2);
      store<f32>(total + at + sums, load<f32>(part + at + sums));
      continue;
    }
    const m = max(m1, m2);
    const f1 = exp1(m1 - m);
    const f2 = exp1(m2 - m);
    store<f32>(total + at, m);
    store<f32>(total + at + sums, load<f32>(total + at + sums) * f1 + load<f32>(part + at + sums) * f2);
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
    const l = load<f32>(total + arg(15) * (stride + 4) + (r << 2));
    const o = total + <usize>r * stride;
    const out = rowAt(arg(5), r);
    if (arg(19) == 0) {
      for (let e: usize = 0; e < E; e++) store<f32>(out + e * 4, load<f32>(o + e * 4) / l);
      continue;
    }
    const m = load<f32>(total + arg(15) * stride + (r << 2));
    const h = <usize>(<i32>head * <i32>arg(7) + firstHead + (r % heads));
    const sink = load<f32>(arg(19) + h * 4);
    const shrink: f32 = sink > m ? exp1(m - sink) : 1;
    const sum: f32 = l * shrink + (sink > m ? 1 : exp1(sink - m));
    for (let e: usize = 0; e < E; e++) store<f32>(out + e * 4, (load<f32>(o + e * 4) * shrink) / sum);
  }
}
