// Matrix-vector products over int8 activations, straight from the packed panels, as reading the weights is what takes the time: some
// panels (8 rows each) side by side, a block of each in turn. A core reads memory half as fast again along eight streams as along one
// (Ice Lake: 9.5 GB/s along one, 12 along four, 14 along eight; in turns of 2 KiB nothing is left of it).
// Everything is written twice, for rows 0…3 and rows 4…7 (…a, …b), in neighbouring statements, so that an engine that joins pairs of
// 128-bit operations can.
import {
  PACK_Q2_K,
  PACK_Q3_K,
  PACK_Q4_0,
  PACK_Q4_1,
  PACK_Q4_K,
  PACK_Q5_K,
  PACK_Q6_K,
  PACK_Q8_0,
} from '../tasks';
import {
  hasMinPlane,
  hasSuperMin,
  highAt,
  highBytes,
  isSuper,
  minAt,
  offsetOf,
  scaleAt,
  superAt,
  superMinAt,
} from './layout.assembly';
import {
  dotPairs,
  firstOf,
  highBits,
  kept,
  nibbleHigh,
  scaleMask,
  scalePower,
  scalesF16,
  secondOf,
  startOfSum,
} from './pieces.assembly';

// What a type's blocks have, beside low nibbles.
@inline
function isOneSum(kind: i32): bool {
  return kind == PACK_Q4_0 || kind == PACK_Q4_1 || kind == PACK_Q4_K;
}
@inline
function hasOffsetPairs(kind: i32): bool {
  return kind == PACK_Q6_K || kind == PACK_Q3_K;
}
@inline
function hasMinima(kind: i32): bool {
  return hasMinPlane(kind) || hasSuperMin(kind);
}

/** The low half of a block's quants, high bits included. */
@inline
function lowQuants(kind: i32, packed: v128, mask: v128, high: v128, g: i32, highMask: v128): v128 {
  const nibbles = v128.and(packed, mask);
  if (highBytes(kind) == 0) return nibbles;
  return v128.or(nibbles, highBits(kind == PACK_Q6_K, high, g, highMask));
}
@inline
function highQuants(kind: i32, packed: v128, mask: v128, high: v128, g: i32, highMask: v128): v128 {
  const nibbles = nibbleHigh(packed, mask);
  if (highBytes(kind) == 0) return nibbles;
  return v128.or(nibbles, highBits(kind == PACK_Q6_K, high, g, highMask));
}

/**
 * sums (8 floats a panel, zeros to begin with) += `count` panels, the first at w, `bytes` apart · x (a tile of one row).
 * Every type but Q8_0.
 */
@inline
export function gemv(kind: i32, first: usize, x: usize, blocks: usize, count: usize, bytes: usize, sumsAt: usize): void {
  const zero = startOfSum();
  const mask = kept(i8x16.splat(15));
  const highMask = kept(i8x16.splat(kind == PACK_Q6_K ? 0x30 : 0x10));
  const ones = kept(i16x8.splat(1));
  const offsets = kept(i16x8.splat(<i16>offsetOf(kind)));
  const scaleBits = scaleMask();
  const power = scalePower();
  for (let b: usize = 0; b < blocks; b++, x += 40) {
    const sums = v128.load32_splat(x, 36);
    const dx = v128.load32_splat(x, 32);
    let panel = first;
    for (let at = sumsAt; at < sumsAt + count * 32; at += 32, panel += bytes) {
      const w = panel + b * 128;
      const scales = panel + scaleAt(kind, blocks) + b * 16;
      const minima = panel + minAt(kind, blocks) + b * 16;
      const high = panel + highAt(kind, blocks) + b * highBytes(kind);
      let pairsa = zero;
      let pairsb = zero;
      if (hasOffsetPairs(kind)) {
        pairsa = v128.load8x8_s(scales);
        pairsb = v128.load8x8_s(scales, 8);
      } else if (isSuper(kind)) {
        pairsa = v128.load8x8_u(scales);
        pairsb = v128.load8x8_u(scales, 8);
      }
      let ha = zero;
      let hb = zero;
      let ia = zero;
      let ib = zero;
      if (highBytes(kind) != 0) {
        ha = v128.load(high);
        hb = v128.load(high, 16);
        ia = ha;
        ib = hb;
        if (kind == PACK_Q6_K) {
          ia = v128.load(high, 32);
          ib = v128.load(high, 48);
        }
      }
      // l: sums of the low nibbles' groups, h: of the high nibbles'; one sum where all 8 groups fit
      let pa = v128.load(w);
      let pb = v128.load(w, 16);
      let xl = v128.load32_splat(x);
      let xh = v128.load32_splat(x, 16);
      let la = dotPairs(xl, lowQuants(kind, pa, mask, ha, 0, highMask));
      let lb = dotPairs(xl, lowQuants(kind, pb, mask, hb, 0, highMask));
      let ua = dotPairs(xh, highQuants(kind, pa, mask, ia, 4, highMask));
      let ub = dotPairs(xh, highQuants(kind, pb, mask, ib, 4, highMask));
      pa = v128.load(w, 32);
      pb = v128.load(w, 48);
      xl = v128.load32_splat(x, 4);
      xh = v128.load32_splat(x, 20);
      la = i16x8.add(la, dotPairs(xl, lowQuants(kind, pa, mask, ha, 1, highMask)));
      lb = i16x8.add(lb, dotPairs(xl, lowQuants(kind, pb, mask, hb, 1, highMask)));
      ua = i16x8.add(ua, dotPairs(xh, highQuants(kind, pa, mask, ia, 5, highMask)));
      ub = i16x8.add(ub, dotPairs(xh, highQuants(kind, pb, mask, ib, 5, highMask)));
      let Ta = zero;
      let Tb = zero;
      if (kind == PACK_Q6_K) {
        // 2·2·63·127 is all that an i16 holds
        Ta = i32x4.add(i32x4.dot_i16x8_s(la, firstOf(pairsa)), i32x4.dot_i16x8_s(ua, secondOf(pairsa)));
        Tb = i32x4.add(i32x4.dot_i16x8_s(lb, firstOf(pairsb)), i32x4.dot_i16x8_s(ub, secondOf(pairsb)));
        la = zero;
        lb = zero;
        ua = zero;
        ub = zero;
      }
      pa = v128.load(w, 64);
      pb = v128.load(w, 80);
      xl = v128.load32_splat(x, 8);
      xh = v128.load32_splat(x, 24);
      la = i16x8.add(la, dotPairs(xl, lowQuants(kind, pa, mask, ha, 2, highMask)));
      lb = i16x8.add(lb, dotPairs(xl, lowQuants(kind, pb, mask, hb, 2, highMask)));
      ua = i16x8.add(ua, dotPairs(xh, highQuants(kind, pa, mask, ia, 6, highMask)));
      ub = i16x8.add(ub, dotPairs(xh, highQuants(kind, pb, mask, ib, 6, highMask)));
      pa = v128.load(w, 96);
      pb = v128.load(w, 112);
      xl = v128.load32_splat(x, 12);
      xh = v128.load32_splat(x, 28);
      la = i16x8.add(la, dotPairs(xl, lowQuants(kind, pa, mask, ha, 3, highMask)));
      lb = i16x8.add(lb, dotPairs(xl, lowQuants(kind, pb, mask, hb, 3, highMask)));
      ua = i16x8.add(ua, dotPairs(xh, highQuants(kind, pa, mask, ia, 7, highMask)));
      ub = i16x8.add(ub, dotPairs(xh, highQuants(kind, pb, mask, ib, 7, highMask)));
      if (isOneSum(kind)) {
        const fa = isSuper(kind) ? firstOf(pairsa) : ones;
        const fb = isSuper(kind) ? firstOf(pairsb) : ones;
        Ta = i32x4.dot_i16x8_s(i16x8.add(la, ua), fa);
        Tb = i32x4.dot_i16x8_s(i16x8.add(lb, ub), fb);
      } else if (isSuper(kind)) {
        const isSplit = kind != PACK_Q5_K;
        const ra = i32x4.add(
          i32x4.dot_i16x8_s(la, firstOf(pairsa)),
          i32x4.dot_i16x8_s(ua, isSplit ? secondOf(pairsa) : firstOf(pairsa)),
        );
        const rb = i32x4.add(
          i32x4.dot_i16x8_s(lb, firstOf(pairsb)),
          i32x4.dot_i16x8_s(ub, isSplit ? secondOf(pairsb) : firstOf(pairsb)),
        );
        Ta = kind == PACK_Q6_K ? i32x4.add(Ta, ra) : ra;
        Tb = kind == PACK_Q6_K ? i32x4.add(Tb, rb) : rb;
      } else {
        Ta = i32x4.add(i32x4.dot_i16x8_s(la, ones), i32x4.dot_i16x8_s(ua, ones));
        Tb = i32x4.add(i32x4.dot_i16x8_s(lb, ones), i32x4.dot_i16x8_s(ub, ones));
      }
      if (offsetOf(kind) != 0 && !hasOffsetPairs(kind)) {
        const offset = i32x4.dot_i16x8_s(sums, offsets);
        Ta = i32x4.sub(Ta, offset);
        Tb = i32x4.sub(Tb, offset);
      }
      if (hasOffsetPairs(kind)) {
        Ta = i32x4.sub(Ta, i32x4.dot_i16x8_s(i16x8.mul(pairsa, offsets), sums));
        Tb = i32x4.sub(Tb, i32x4.dot_i16x8_s(i16x8.mul(pairsb, offsets), sums));
      }
      const scaleWords = isSuper(kind) ? panel + superAt(kind, blocks) + (b >> 3) * 16 : scales;
      const da = scalesF16(v128.load16x4_s(scaleWords), scaleBits, power);
      const db = scalesF16(v128.load16x4_s(scaleWords, 8), scaleBits, power);
      let acca = v128.load(at);
      let accb = v128.load(at, 16);
      acca = f32x4.add(acca, f32x4.mul(f32x4.convert_i32x4_s(Ta), f32x4.mul(da, dx)));
      accb = f32x4.add(accb, f32x4.mul(f32x4.convert_i32x4_s(Tb), f32x4.mul(db, dx)));
      if (hasMinima(kind)) {
        const minWords = isSuper(kind) ? panel + superMinAt(kind, blocks) + (b >> 3) * 16 : minima;
        let ma = scalesF16(v128.load16x4_s(minWords), scaleBits, power);
        let mb = scalesF16(v128.load16x4_s(minWords, 8), scaleBits, power);
        let na: v128;
        let nb: v128;
        if (!isSuper(kind)) {
          ma = f32x4.neg(ma);
          mb = f32x4.neg(mb);
          na = nb = i32x4.dot_i16x8_s(sums, ones);
        } else if (kind == PACK_Q2_K) {
          na = i32x4.dot_i16x8_s(v128.load8x8_u(minima), sums);
          nb = i32x4.dot_i16x8_s(v128.load8x8_u(minima, 8), sums);
        } else {
          na = i32x4.dot_i16x8_s(secondOf(pairsa), sums);
          nb = i32x4.dot_i16x8_s(secondOf(pairsb), sums);
        }
        acca = f32x4.sub(acca, f32x4.mul(f32x4.convert_i32x4_s(na), f32x4.mul(ma, dx)));
        accb = f32x4.sub(accb, f32x4.mul(f32x4.convert_i32x4_s(nb), f32x4.mul(mb, dx)));
      }
      v128.store(at, acca);
      v128.store(at, accb, 16);
    }
  }
}

/** The same for Q8_0: a weight + 128 is low + 16 · high nibble. */
@inline
export function gemvQ8_0(first: usize, x: usize, blocks: usize, count: usize, bytes: usize, sumsAt: usize): void {
  const mask = kept(i8x16.splat(15));
  const ones = kept(i16x8.splat(1));
  const sixteens = kept(i16x8.splat(16));
  const offsets = kept(i16x8.splat(128));
  const scaleBits = scaleMask();
  const power = scalePower();
  for (let b: usize = 0; b < blocks; b++, x += 40) {
    let panel = first;
    for (let at = sumsAt; at < sumsAt + count * 32; at += 32, panel += bytes) {
      const w = panel + b * 256;
      const scales = panel + scaleAt(PACK_Q8_0, blocks) + b * 16;
      let pa = v128.load(w);
      let pb = v128.load(w, 16);
      let xs = v128.load32_splat(x);
      let la = dotPairs(xs, v128.and(pa, mask));
      let lb = dotPairs(xs, v128.and(pb, mask));
      let ua = dotPairs(xs, nibbleHigh(pa, mask));
      let ub = dotPairs(xs, nibbleHigh(pb, mask));
      pa = v128.load(w, 32);
      pb = v128.load(w, 48);
      xs = v128.load32_splat(x, 4);
      la = i16x8.add(la, dotPairs(xs, v128.and(pa, mask)));
      lb = i16x8.add(lb, dotPairs(xs, v128.and(pb, mask)));
      ua = i16x8.add(ua, dotPairs(xs, nibbleHigh(pa, mask)));
      ub = i16x8.add(ub, dotPairs(xs, nibbleHigh(pb, mask)));
      pa = v128.load(w, 64);
      pb = v128.load(w, 80);
      xs = v128.load32_splat(x, 8);
      la = i16x8.add(la, dotPairs(xs, v128.and(pa, mask)));
      lb = i16x8.add(lb, dotPairs(xs, v128.and(pb, mask)));
      ua = i16x8.add(ua, dotPairs(xs, nibbleHigh(pa, mask)));
      ub = i16x8.add(ub, dotPairs(xs, nibbleHigh(pb, mask)));
      pa = v128.load(w, 96);
      pb = v128.load(w, 112);
      xs = v128.load32_splat(x, 12);
      la = i16x8.add(la, dotPairs(xs, v128.and(pa, mask)));
      lb = i16x8.add(lb, dotPairs(xs, v128.and(pb, mask)));
      ua = i16x8.add(ua, dotPairs(xs, nibbleHigh(pa, mask)));
      ub = i16x8.add(ub, dotPairs(xs, nibbleHigh(pb, mask)));
      pa = v128.load(w, 128);
      pb = v128.load(w, 144);
      xs = v128.load32_splat(x, 16);
      la = i16x8.add(la, dotPairs(xs, v128.and(pa, mask)));
      lb = i16x8.add(lb, dotPairs(xs, v128.and(pb, mask)));
      ua = i16x8.add(ua, dotPairs(xs, nibbleHigh(pa, mask)));
      ub = i16x8.add(ub, dotPairs(xs, nibbleHigh(pb, mask)));
      pa = v128.load(w, 160);
      pb = v128.load(w, 176);
      xs = v128.load32_splat(x, 20);
      la = i16x8.add(la, dotPairs(xs, v128.and(pa, mask)));
      lb = i16x8.add(lb, dotPairs(xs, v128.and(pb, mask)));
      ua = i16x8.add(ua, dotPairs(xs, nibbleHigh(pa, mask)));
      ub = i16x8.add(ub, dotPairs(xs, nibbleHigh(pb, mask)));
      pa = v128.load(w, 192);
      pb = v128.load(w, 208);
      xs = v128.load32_splat(x, 24);
      la = i16x8.add(la, dotPairs(xs, v128.and(pa, mask)));
      lb = i16x8.add(lb, dotPairs(xs, v128.and(pb, mask)));
      ua = i16x8.add(ua, dotPairs(xs, nibbleHigh(pa, mask)));
      ub = i16x8.add(ub, dotPairs(xs, nibbleHigh(pb, mask)));
      pa = v128.load(w, 224);
      pb = v128.load(w, 240);
      xs = v128.load32_splat(x, 28);
      la = i16x8.add(la, dotPairs(xs, v128.and(pa, mask)));
      lb = i16x8.add(lb, dotPairs(xs, v128.and(pb, mask)));
      ua = i16x8.add(ua, dotPairs(xs, nibbleHigh(pa, mask)));
      ub = i16x8.add(ub, dotPairs(xs, nibbleHigh(pb, mask)));
      const offset = i32x4.dot_i16x8_s(v128.load32_splat(x, 36), offsets);
      const dx = v128.load32_splat(x, 32);
      const Ta = i32x4.sub(i32x4.add(i32x4.dot_i16x8_s(la, ones), i32x4.dot_i16x8_s(ua, sixteens)), offset);
      const Tb = i32x4.sub(i32x4.add(i32x4.dot_i16x8_s(lb, ones), i32x4.dot_i16x8_s(ub, sixteens)), offset);
      const da = scalesF16(v128.load16x4_s(scales), scaleBits, power);
      const db = scalesF16(v128.load16x4_s(scales, 8), scaleBits, power);
      const acca = f32x4.add(v128.load(at), f32x4.mul(f32x4.convert_i32x4_s(Ta), f32x4.mul(da, dx)));
      const accb = f32x4.add(v128.load(at, 16), f32x4.mul(f32x4.convert_i32x4_s(Tb), f32x4.mul(db, dx)));
      v128.store(at, acca);
      v128.store(at, accb, 16);
    }
  }
}
