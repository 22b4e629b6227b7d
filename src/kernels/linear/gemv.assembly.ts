// Matrix-vector products over int8 activations, straight from the packed panels, as reading the weights is what takes the time: some
// groups side by side, a block of each in turn; how many is the machine's to say (devices/wasm/streams.ts).
// Everything is written twice, for rows 0…3 and rows 4…7 (…a, …b), in neighbouring statements, so that an engine that joins pairs of
// 128-bit operations can.
import { PACK_Q6_K, PACK_Q8_0 } from '../tasks';
import {
  begin,
  blockScales,
  end,
  highMaskOf,
  isHalved,
  isSplit,
  levelsHigh,
  levelsLow,
  lookUp,
  minimumOf,
  minimumWordsA,
  minimumWordsB,
  picker,
  quants,
  scaled,
  scaleOf,
  scaleWordsA,
  scaleWordsB,
  startOf,
  step,
  sumsOf,
} from './blocks.assembly';
import {
  blockAt,
  blockBytes,
  hasMinima,
  headAt,
  headBytes,
  highAt,
  highBytes,
  isSuper,
  isTable,
  minAt,
  offsetOf,
  QUANTIZED_GROUP,
  scaleAt,
  tableAt,
} from './layout.assembly';
import { kept, nibbleHigh, scaleMask, scalePower, startOfSum } from './pieces.assembly';

/** High nibbles go in where they are, 16-fold, where a quant may be as large as that: one instruction less for every 32 bytes. */
@inline
function isSixteenfold(kind: i32): bool {
  return HAS_DOT && highBytes(kind) == 0 && kind != PACK_Q8_0 && !isTable(kind);
}
@inline
function topQuants(kind: i32, packed: v128, mask: v128, high: v128, g: i32, highMask: v128): v128 {
  return isSixteenfold(kind) ? v128.andnot(packed, mask) : quants(kind, packed, mask, high, g, highMask);
}
@inline
function beginTop(kind: i32, start: v128): v128 {
  return isSixteenfold(kind) ? i32x4.shl(start, 4) : begin(kind, start);
}
@inline
function endTop(kind: i32, sum: v128, start: v128, weight: v128): v128 {
  return isSixteenfold(kind) ? i32x4.shr_s(sum, 4) : end(kind, sum, start, weight);
}

/** What a quant of 8 bits that meets an engine without an instruction for them adds 16-fold; and of group g ≥ 4, what it adds once. */
@inline
function splitHigh(kind: i32, packed: v128, mask: v128, levels: v128, g: i32): v128 {
  if (isTable(kind)) return lookUp(levels, g < 4 ? v128.and(packed, mask) : nibbleHigh(packed, mask));
  return nibbleHigh(packed, mask);
}
@inline
function splitLow(kind: i32, packed: v128, mask: v128, levels: v128): v128 {
  return isTable(kind) ? lookUp(levels, nibbleHigh(packed, mask)) : v128.and(packed, mask);
}
@inline
function topOf(kind: i32, packed: v128, mask: v128, high: v128, g: i32, highMask: v128): v128 {
  return isSplit(kind) ? splitHigh(kind, packed, mask, high, g) : topQuants(kind, packed, mask, high, g, highMask);
}

/** sums (8 floats a panel, zeros to begin with) += `count` groups, the first at `first`, `bytes` apart · x (a tile of one row). */
@inline
export function gemv(kind: i32, first: usize, x: usize, blocks: usize, count: usize, bytes: usize, sumsAt: usize): void {
  const zero = startOfSum();
  const mask = kept(i8x16.splat(15));
  const highMask = highMaskOf(kind);
  const ones = kept(i16x8.splat(1));
  const sixteens = kept(i16x8.splat(16));
  const minus0 = picker(kind, 0, -offsetOf(kind));
  const minus1 = picker(kind, 1, -offsetOf(kind));
  const plus0 = picker(kind, 0, 1);
  const plus1 = picker(kind, 1, 1);
  const bits = scaleMask();
  const power = scalePower();
  const table = first + tableAt(kind, blocks << 5);
  const lowLevels = isTable(kind) ? levelsLow(kind, table) : zero;
  const highLevels = isTable(kind) ? levelsHigh(kind, table) : zero;
  for (let b: usize = 0; b < blocks; b++, x += 40) {
    const pairs = v128.load32_splat(x, 36);
    const dx = v128.load32_splat(x, 32);
    const start0 = startOf(kind, pairs, minus0);
    const start1 = isHalved(kind) ? startOf(kind, pairs, minus1) : zero;
    const sums0 = sumsOf(kind, pairs, plus0);
    const sums1 = sumsOf(kind, pairs, plus1);
    const x0 = v128.load32_splat(x);
    const x1 = v128.load32_splat(x, 4);
    const x2 = v128.load32_splat(x, 8);
    const x3 = v128.load32_splat(x, 12);
    const x4 = v128.load32_splat(x, 16);
    const x5 = v128.load32_splat(x, 20);
    const x6 = v128.load32_splat(x, 24);
    const x7 = v128.load32_splat(x, 28);
    const place = blockAt(kind, b);
    const head = headAt(kind, b);
    let group = first;
    let member: usize = 0;
    for (let at = sumsAt; at < sumsAt + count * QUANTIZED_GROUP * 32; at += 32) {
      const w = group + place + member * blockBytes(kind);
      const d = group + head + member * headBytes(kind);
      if (++member == QUANTIZED_GROUP) {
        member = 0;
        group += bytes;
      }
      const scales = w + scaleAt(kind);
      const minima = w + minAt(kind);
      const sa = scaleWordsA(kind, scales);
      const sb = scaleWordsB(kind, scales);
      const na = hasMinima(kind) ? minimumWordsA(kind, minima, sa) : zero;
      const nb = hasMinima(kind) ? minimumWordsB(kind, minima, sb) : zero;
      let da: v128;
      let db: v128;
      let ma = zero;
      let mb = zero;
      if (isSuper(kind)) {
        da = v128.load(d);
        db = v128.load(d, 16);
        if (hasMinima(kind)) {
          ma = v128.load(d, 32);
          mb = v128.load(d, 48);
        }
      } else {
        da = blockScales(kind, v128.load16x4_s(scales), bits, power);
        db = blockScales(kind, v128.load16x4_s(scales, 8), bits, power);
        if (hasMinima(kind)) {
          ma = blockScales(kind, v128.load16x4_s(minima), bits, power);
          mb = blockScales(kind, v128.load16x4_s(minima, 8), bits, power);
        }
      }
      let ha = lowLevels;
      let hb = lowLevels;
      let ia = highLevels;
      let ib = highLevels;
      if (highBytes(kind) != 0) {
        const high = w + highAt(kind);
        ha = v128.load(high);
        hb = v128.load(high, 16);
        ia = ha;
        ib = hb;
        if (kind == PACK_Q6_K) {
          ia = v128.load(high, 32);
          ib = v128.load(high, 48);
        }
      }
      // l: of groups 0…3, u: of groups 4…7; of Q8_0 split: of all low nibbles and of all high ones
      let pa: v128;
      let pb: v128;
      let la = begin(kind, start0);
      let lb = la;
      let ua = beginTop(kind, start1);
      let ub = ua;
      pa = v128.load(w);
      pb = v128.load(w, 16);
      la = step(kind, x0, quants(kind, pa, mask, ha, 0, highMask), la);
      lb = step(kind, x0, quants(kind, pb, mask, hb, 0, highMask), lb);
      if (isSplit(kind)) {
        ua = step(kind, x0, splitHigh(kind, pa, mask, ia, 0), ua);
        ub = step(kind, x0, splitHigh(kind, pb, mask, ib, 0), ub);
      }
      if (kind == PACK_Q8_0) {
        pa = v128.load(w, 128);
        pb = v128.load(w, 144);
      }
      if (isSplit(kind)) {
        la = step(kind, x4, splitLow(kind, pa, mask, ha), la);
        lb = step(kind, x4, splitLow(kind, pb, mask, hb), lb);
      }
      ua = step(kind, x4, topOf(kind, pa, mask, ia, 4, highMask), ua);
      ub = step(kind, x4, topOf(kind, pb, mask, ib, 4, highMask), ub);
      pa = v128.load(w, 32);
      pb = v128.load(w, 48);
      la = step(kind, x1, quants(kind, pa, mask, ha, 1, highMask), la);
      lb = step(kind, x1, quants(kind, pb, mask, hb, 1, highMask), lb);
      if (isSplit(kind)) {
        ua = step(kind, x1, splitHigh(kind, pa, mask, ia, 0), ua);
        ub = step(kind, x1, splitHigh(kind, pb, mask, ib, 0), ub);
      }
      if (kind == PACK_Q8_0) {
        pa = v128.load(w, 160);
        pb = v128.load(w, 176);
      }
      if (isSplit(kind)) {
        la = step(kind, x5, splitLow(kind, pa, mask, ha), la);
        lb = step(kind, x5, splitLow(kind, pb, mask, hb), lb);
      }
      ua = step(kind, x5, topOf(kind, pa, mask, ia, 5, highMask), ua);
      ub = step(kind, x5, topOf(kind, pb, mask, ib, 5, highMask), ub);
      pa = v128.load(w, 64);
      pb = v128.load(w, 80);
      la = step(kind, x2, quants(kind, pa, mask, ha, 2, highMask), la);
      lb = step(kind, x2, quants(kind, pb, mask, hb, 2, highMask), lb);
      if (isSplit(kind)) {
        ua = step(kind, x2, splitHigh(kind, pa, mask, ia, 0), ua);
        ub = step(kind, x2, splitHigh(kind, pb, mask, ib, 0), ub);
      }
      if (kind == PACK_Q8_0) {
        pa = v128.load(w, 192);
        pb = v128.load(w, 208);
      }
      if (isSplit(kind)) {
        la = step(kind, x6, splitLow(kind, pa, mask, ha), la);
        lb = step(kind, x6, splitLow(kind, pb, mask, hb), lb);
      }
      ua = step(kind, x6, topOf(kind, pa, mask, ia, 6, highMask), ua);
      ub = step(kind, x6, topOf(kind, pb, mask, ib, 6, highMask), ub);
      pa = v128.load(w, 96);
      pb = v128.load(w, 112);
      la = step(kind, x3, quants(kind, pa, mask, ha, 3, highMask), la);
      lb = step(kind, x3, quants(kind, pb, mask, hb, 3, highMask), lb);
      if (isSplit(kind)) {
        ua = step(kind, x3, splitHigh(kind, pa, mask, ia, 0), ua);
        ub = step(kind, x3, splitHigh(kind, pb, mask, ib, 0), ub);
      }
      if (kind == PACK_Q8_0) {
        pa = v128.load(w, 224);
        pb = v128.load(w, 240);
      }
      if (isSplit(kind)) {
        la = step(kind, x7, splitLow(kind, pa, mask, ha), la);
        lb = step(kind, x7, splitLow(kind, pb, mask, hb), lb);
      }
      ua = step(kind, x7, topOf(kind, pa, mask, ia, 7, highMask), ua);
      ub = step(kind, x7, topOf(kind, pb, mask, ib, 7, highMask), ub);
      let acca = v128.load(at);
      let accb = v128.load(at, 16);
      if (isHalved(kind)) {
        // the first half is added before the second, as everywhere
        const aa = scaleOf(kind, 0, sa, da);
        const ab = scaleOf(kind, 0, sb, db);
        const ba = hasMinima(kind) ? minimumOf(kind, 0, na, ma) : zero;
        const bb = hasMinima(kind) ? minimumOf(kind, 0, nb, mb) : zero;
        acca = f32x4.add(acca, scaled(kind, end(kind, la, start0, ones), aa, ba, sums0, dx));
        accb = f32x4.add(accb, scaled(kind, end(kind, lb, start0, ones), ab, bb, sums0, dx));
        la = endTop(kind, ua, start1, ones);
        lb = endTop(kind, ub, start1, ones);
      } else {
        // the high groups' sums, or the high nibbles' 16-fold, join
        const weight = isSplit(kind) ? sixteens : ones;
        la = i32x4.add(end(kind, la, start0, ones), endTop(kind, ua, start1, weight));
        lb = i32x4.add(end(kind, lb, start0, ones), endTop(kind, ub, start1, weight));
      }
      const h = isHalved(kind) ? 1 : 0;
      const aa = scaleOf(kind, h, sa, da);
      const ab = scaleOf(kind, h, sb, db);
      const ba = hasMinima(kind) ? minimumOf(kind, h, na, ma) : zero;
      const bb = hasMinima(kind) ? minimumOf(kind, h, nb, mb) : zero;
      const sums = isHalved(kind) ? sums1 : sums0;
      acca = f32x4.add(acca, scaled(kind, la, aa, ba, sums, dx));
      accb = f32x4.add(accb, scaled(kind, lb, ab, bb, sums, dx));
      v128.store(at, acca);
      v128.store(at, accb, 16);
    }
  }
}
