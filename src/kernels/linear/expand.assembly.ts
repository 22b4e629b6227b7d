// Unpacks a panel for matrix-matrix products, once for all activation rows, into one of five forms ("form" is a kind: Q4_0, Q8_0,
// Q4_K, Q6_K as themselves, all others as Q5_K with every optional part). An expanded panel holds, block after block:
//
//   for each flush:  the groups' quants, a byte a weight (32 bytes a group), all 0…127
//                    factors: what the flushed i16 sums are multiplied by, an i16 pair a row     (all but Q4_0)
//   scale            f32 a row (32 bytes)
//   offsets          i16 pair a row: what is taken off, times Σq                                 (Q6_K, Q5_K)
//   minimum scale    f32 a row, and minima: i16 pair a row                                       (Q4_K, Q5_K)
//
// Two panels are expanded together, in alternating pieces of 32 bytes, so that one pointer walks through both.
//
// A flush ends when an i16 sum of products could overflow, or a sub-block ends. Q8_0 flushes its low nibbles, then its high ones (·16).
import {
  PACK_Q2_K,
  PACK_Q3_K,
  PACK_Q4_0,
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
  lowBytes,
  minAt,
  offsetOf,
  scaleAt,
  superAt,
  superMinAt,
} from './layout.assembly';
import { firstOf, highBits, kept, nibbleHigh, scaleMask, scalePower, scalesF16, secondOf } from './pieces.assembly';

@inline
export function formOf(kind: i32): i32 {
  return kind == PACK_Q4_0 || kind == PACK_Q8_0 || kind == PACK_Q4_K || kind == PACK_Q6_K ? kind : PACK_Q5_K;
}
@inline
export function flushCount(form: i32): i32 {
  if (form == PACK_Q6_K) return 4;
  return form == PACK_Q8_0 || form == PACK_Q5_K ? 2 : 1;
}
@inline
export function groupsPerFlush(form: i32): i32 {
  return form == PACK_Q8_0 ? 8 : 8 / flushCount(form);
}
@inline
export function hasFactors(form: i32): bool {
  return form != PACK_Q4_0;
}
@inline
export function hasOffsets(form: i32): bool {
  return form == PACK_Q6_K || form == PACK_Q5_K;
}
@inline
export function hasMinima(form: i32): bool {
  return form == PACK_Q4_K || form == PACK_Q5_K;
}

/** Bytes of an expanded pair of panels. */
export function expandedBytes(kind: i32, columns: usize): usize {
  const form = formOf(kind);
  const flush = 32 * groupsPerFlush(form) + (hasFactors(form) ? 32 : 0);
  const block = flushCount(form) * flush + 32 + (hasOffsets(form) ? 32 : 0) + (hasMinima(form) ? 64 : 0);
  return <usize>block * (columns >> 5) * 2;
}

/** Writes the expanded form of the panel at w, as the first (out) or the second (out + 32) of its pair. */
@inline
export function expand(kind: i32, out: usize, w: usize, blocks: usize): void {
  const form = formOf(kind);
  let low = w;
  let high = w + highAt(kind, blocks);
  let scales = w + scaleAt(kind, blocks);
  let minima = w + minAt(kind, blocks);
  let supers = w + superAt(kind, blocks);
  let superMinima = w + superMinAt(kind, blocks);
  const mask = kept(i8x16.splat(15));
  const scaleBits = scaleMask();
  const power = scalePower();
  for (let b: usize = 0; b < blocks; b++) {
    if (kind == PACK_Q8_0) {
      for (let g: usize = 0; g < 256; g += 32, out += 64) {
        const pa = v128.load(low + g);
        const pb = v128.load(low + g, 16);
        v128.store(out, v128.and(pa, mask));
        v128.store(out, v128.and(pb, mask), 16);
        v128.store(out, nibbleHigh(pa, mask), 576);
        v128.store(out, nibbleHigh(pb, mask), 592);
      }
      v128.store(out, i16x8.splat(1));
      v128.store(out, i16x8.splat(1), 16);
      v128.store(out, i16x8.splat(16), 576);
      v128.store(out, i16x8.splat(16), 592);
      out += 640;
    } else {
      // groups 0…3 lie before the factors of the first half's flushes, groups 4…7 after
      const firstBytes: usize = form == PACK_Q6_K ? 384 : form == PACK_Q5_K ? 320 : 256;
      for (let g: usize = 0; g < 4; g++) {
        const pa = v128.load(low + g * 32);
        const pb = v128.load(low + g * 32, 16);
        let la = v128.and(pa, mask);
        let lb = v128.and(pb, mask);
        let ua = nibbleHigh(pa, mask);
        let ub = nibbleHigh(pb, mask);
        if (highBytes(kind) != 0) {
          la = v128.or(la, highOf(kind, high, <i32>g));
          lb = v128.or(lb, highOf(kind, high + 16, <i32>g));
          ua = v128.or(ua, highOf(kind, high, <i32>g + 4));
          ub = v128.or(ub, highOf(kind, high + 16, <i32>g + 4));
        }
        const to = out + g * 64 + (form == PACK_Q6_K && g > 1 ? 64 : 0);
        v128.store(to, la);
        v128.store(to, lb, 16);
        v128.store(to + firstBytes, ua);
        v128.store(to + firstBytes, ub, 16);
      }
      if (hasFactors(form)) {
        const pairsa = scalePairs(kind, scales);
        const pairsb = scalePairs(kind, scales + 8);
        const isHalved = kind == PACK_Q6_K || kind == PACK_Q2_K || kind == PACK_Q3_K;
        const fa = isSuper(kind) ? firstOf(pairsa) : i16x8.splat(1);
        const fb = isSuper(kind) ? firstOf(pairsb) : i16x8.splat(1);
        const ga = isHalved ? secondOf(pairsa) : fa;
        const gb = isHalved ? secondOf(pairsb) : fb;
        if (form == PACK_Q6_K) {
          v128.store(out, fa, 128);
          v128.store(out, fb, 144);
          v128.store(out, fa, 320);
          v128.store(out, fb, 336);
          v128.store(out, ga, 512);
          v128.store(out, gb, 528);
          v128.store(out, ga, 704);
          v128.store(out, gb, 720);
        } else if (form == PACK_Q5_K) {
          v128.store(out, fa, 256);
          v128.store(out, fb, 272);
          v128.store(out, ga, 576);
          v128.store(out, gb, 592);
        } else {
          v128.store(out, fa, 512);
          v128.store(out, fb, 528);
        }
      }
      out += form == PACK_Q6_K ? 768 : form == PACK_Q5_K ? 640 : form == PACK_Q4_K ? 576 : 512;
    }
    const at = isSuper(kind) ? supers + (b >> 3) * 16 : scales;
    const da = scalesF16(v128.load16x4_s(at), scaleBits, power);
    const db = scalesF16(v128.load16x4_s(at, 8), scaleBits, power);
    v128.store(out, da);
    v128.store(out, db, 16);
    out += 64;
    if (hasOffsets(form)) {
      const offset = i16x8.splat(<i16>offsetOf(kind));
      const isScaled = kind == PACK_Q6_K || kind == PACK_Q3_K;
      v128.store(out, isScaled ? i16x8.mul(scalePairs(kind, scales), offset) : offset);
      v128.store(out, isScaled ? i16x8.mul(scalePairs(kind, scales + 8), offset) : offset, 16);
      out += 64;
    }
    if (hasMinima(form)) {
      for (let half: usize = 0; half < 16; half += 8, out += 16) {
        if (hasSuperMin(kind)) {
          v128.store(out, scalesF16(v128.load16x4_s(superMinima + (b >> 3) * 16 + half), scaleBits, power));
          const pairs = v128.load8x8_u((kind == PACK_Q2_K ? minima : scales) + half);
          v128.store(out, kind == PACK_Q2_K ? pairs : secondOf(pairs), 64);
        } else if (hasMinPlane(kind)) {
          v128.store(out, f32x4.neg(scalesF16(v128.load16x4_s(minima + half), scaleBits, power)));
          v128.store(out, i16x8.splat(1), 64);
        } else {
          v128.store(out, f32x4.splat(0));
          v128.store(out, i16x8.splat(0), 64);
        }
      }
      out += 96;
    }
    low += lowBytes(kind);
    high += highBytes(kind);
    scales += 16;
    minima += 16;
  }
}

/** Two sub-block scales (or a scale and a minimum) of 4 rows, as i16 pairs. */
@inline
function scalePairs(kind: i32, at: usize): v128 {
  return kind == PACK_Q6_K || kind == PACK_Q3_K ? v128.load8x8_s(at) : v128.load8x8_u(at);
}

@inline
function highOf(kind: i32, high: usize, g: i32): v128 {
  const bits = v128.load(high + (kind == PACK_Q6_K ? <usize>(g >> 2) * 32 : 0));
  return highBits(kind == PACK_Q6_K, bits, g, i8x16.splat(kind == PACK_Q6_K ? 0x30 : 0x10));
}
