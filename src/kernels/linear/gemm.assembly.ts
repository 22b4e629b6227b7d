// Matrix-matrix products over int8 activations, straight from the packed panels: two panels (16 rows) × a tile of 4 activation rows. The
// first tile brings the panels into the nearest cache, where the others find them, so a batch of any size reads each weight from memory
// once. Every activation that is broadcast meets 16 rows; everything is written for rows 0…3 and 4…7 (…a, …b) of both panels (p, q) in
// neighbouring statements, so that an engine that joins pairs of 128-bit operations can.
//
// Eight pairs of sums grow side by side, in the order of the statements: an engine keeps that order, and a sum that waited for its own
// last step would take five times as long.
import { begin, end, highMaskOf, isHalved, isSplit, minimumOf, minimumWordsA, minimumWordsB, picker, quants } from './blocks.assembly';
import { levelsHigh, levelsLow, lookUp } from './blocks.assembly';
import { scaled, scaleOf, scaleWordsA, scaleWordsB, startOf, step, sumsOf } from './blocks.assembly';
import { blockAt, blockBytes, blockStride, hasMinima, headBytes, headStride } from './layout.assembly';
import { highAt, highBytes, isSuper, isTable, minAt, offsetOf, scaleAt, tableAt } from './layout.assembly';
import { kept, startOfSum } from './pieces.assembly';
import { PACK_Q6_K, PACK_Q8_0 } from '../tasks';

/** Group g of a block, whose bytes are at `at`. Of levels that are split, `shift` says which nibbles of the bytes are meant. */
@inline
function fetch(kind: i32, at: usize, mask: v128, high: v128, g: i32, highMask: v128, shift: i32): v128 {
  if (isTable(kind) && isSplit(kind)) return lookUp(high, v128.and(i16x8.shr_u(v128.load(at), shift), mask));
  return quants(kind, v128.load(at), mask, high, g, highMask);
}

/**
 * acc (4 activations × 16 rows of f32, zeros to begin with) += x (a tile of 4 activation rows) · a panel, the group's `member`, and the next.
 * The 256 bytes after acc are scratch; `wide` is what widenScales wrote, where the scales are not kept as f32.
 */
@inline
export function gemm(kind: i32, group: usize, member: usize, x: usize, blocks: usize, acc: usize, wide: usize): void {
  const zero = startOfSum();
  const mask = kept(i8x16.splat(15));
  const highMask = highMaskOf(kind);
  const ones = kept(i16x8.splat(1));
  const minus0 = picker(kind, 0, -offsetOf(kind));
  const minus1 = picker(kind, 1, -offsetOf(kind));
  const plus0 = picker(kind, 0, 1);
  const plus1 = picker(kind, 1, 1);
  const bytes = blockBytes(kind);
  let d = group + member * headBytes(kind);
  let w = group + blockAt(kind, 0) + member * bytes;
  let v = w + bytes;
  let da = zero;
  let db = zero;
  let ga = zero;
  let gb = zero;
  let ma = zero;
  let mb = zero;
  let na = zero;
  let nb = zero;
  let aa = zero;
  let ab = zero;
  let ea = zero;
  let eb = zero;
  let ba = zero;
  let bb = zero;
  let ca = zero;
  let cb = zero;
  let ha = zero;
  let hb = zero;
  let ia = zero;
  let ib = zero;
  const weight = isSplit(kind) ? kept(i16x8.splat(16)) : ones;
  const table = group + tableAt(kind, blocks << 5);
  const lowLevels = isTable(kind) ? levelsLow(kind, table) : zero;
  const highLevels = isTable(kind) ? levelsHigh(kind, table) : zero;
  let part = 0;
  let shift = 0;
  let xs = zero;
  let dx = zero;
  let sums = zero;
  let wa: v128;
  let wb: v128;
  let va: v128;
  let vb: v128;
  let s0a: v128;
  let s0b: v128;
  let t0a: v128;
  let t0b: v128;
  let s1a: v128;
  let s1b: v128;
  let t1a: v128;
  let t1b: v128;
  let s2a: v128;
  let s2b: v128;
  let t2a: v128;
  let t2b: v128;
  let s3a: v128;
  let s3b: v128;
  let t3a: v128;
  let t3b: v128;
  for (let b: usize = 0; b < blocks; b++) {
    if (isSuper(kind)) {
      if ((b & 7) == 0) {
        const e = d + headBytes(kind);
        da = v128.load(d);
        db = v128.load(d, 16);
        ga = v128.load(e);
        gb = v128.load(e, 16);
        if (hasMinima(kind)) {
          ma = v128.load(d, 32);
          mb = v128.load(d, 48);
          na = v128.load(e, 32);
          nb = v128.load(e, 48);
        }
        d += headStride(kind);
        w = group + blockAt(kind, b) + member * bytes;
        v = w + bytes;
      }
    } else {
      da = v128.load(wide);
      db = v128.load(wide, 16);
      ga = v128.load(wide, 32);
      gb = v128.load(wide, 48);
      if (hasMinima(kind)) {
        ma = v128.load(wide, 64);
        mb = v128.load(wide, 80);
        na = v128.load(wide, 96);
        nb = v128.load(wide, 112);
      }
      wide += hasMinima(kind) ? 128 : 64;
    }
    const high = w + highAt(kind);
    const scales = w + scaleAt(kind);
    const minima = w + minAt(kind);
    const rest = x + 128;
    const pa = scaleWordsA(kind, scales);
    const pb = scaleWordsB(kind, scales);
    const qa = scaleWordsA(kind, scales + bytes);
    const qb = scaleWordsB(kind, scales + bytes);
    const ka = hasMinima(kind) ? minimumWordsA(kind, minima, pa) : zero;
    const kb = hasMinima(kind) ? minimumWordsB(kind, minima, pb) : zero;
    const la = hasMinima(kind) ? minimumWordsA(kind, minima + bytes, qa) : zero;
    const lb = hasMinima(kind) ? minimumWordsB(kind, minima + bytes, qb) : zero;
    s0a = s0b = t0a = t0b = begin(kind, startOf(kind, v128.load32_splat(rest, 16), minus0));
    s1a = s1b = t1a = t1b = begin(kind, startOf(kind, v128.load32_splat(rest, 20), minus0));
    s2a = s2b = t2a = t2b = begin(kind, startOf(kind, v128.load32_splat(rest, 24), minus0));
    s3a = s3b = t3a = t3b = begin(kind, startOf(kind, v128.load32_splat(rest, 28), minus0));
    if (isTable(kind)) ha = hb = ia = ib = lowLevels;
    if (highBytes(kind) != 0) {
      ha = v128.load(high);
      hb = v128.load(high, 16);
      ia = v128.load(high + bytes);
      ib = v128.load(high + bytes, 16);
    }
    do {
      wa = fetch(kind, w + 0, mask, ha, 0, highMask, shift);
      wb = fetch(kind, w + 16, mask, hb, 0, highMask, shift);
      va = fetch(kind, v + 0, mask, ia, 0, highMask, shift);
      vb = fetch(kind, v + 16, mask, ib, 0, highMask, shift);
      xs = v128.load32_splat(x, 0);
      s0a = step(kind, xs, wa, s0a);
      s0b = step(kind, xs, wb, s0b);
      t0a = step(kind, xs, va, t0a);
      t0b = step(kind, xs, vb, t0b);
      xs = v128.load32_splat(x, 32);
      s1a = step(kind, xs, wa, s1a);
      s1b = step(kind, xs, wb, s1b);
      t1a = step(kind, xs, va, t1a);
      t1b = step(kind, xs, vb, t1b);
      xs = v128.load32_splat(x, 64);
      s2a = step(kind, xs, wa, s2a);
      s2b = step(kind, xs, wb, s2b);
      t2a = step(kind, xs, va, t2a);
      t2b = step(kind, xs, vb, t2b);
      xs = v128.load32_splat(x, 96);
      s3a = step(kind, xs, wa, s3a);
      s3b = step(kind, xs, wb, s3b);
      t3a = step(kind, xs, va, t3a);
      t3b = step(kind, xs, vb, t3b);
      wa = fetch(kind, w + 32, mask, ha, 1, highMask, shift);
      wb = fetch(kind, w + 48, mask, hb, 1, highMask, shift);
      va = fetch(kind, v + 32, mask, ia, 1, highMask, shift);
      vb = fetch(kind, v + 48, mask, ib, 1, highMask, shift);
      xs = v128.load32_splat(x, 4);
      s0a = step(kind, xs, wa, s0a);
      s0b = step(kind, xs, wb, s0b);
      t0a = step(kind, xs, va, t0a);
      t0b = step(kind, xs, vb, t0b);
      xs = v128.load32_splat(x, 36);
      s1a = step(kind, xs, wa, s1a);
      s1b = step(kind, xs, wb, s1b);
      t1a = step(kind, xs, va, t1a);
      t1b = step(kind, xs, vb, t1b);
      xs = v128.load32_splat(x, 68);
      s2a = step(kind, xs, wa, s2a);
      s2b = step(kind, xs, wb, s2b);
      t2a = step(kind, xs, va, t2a);
      t2b = step(kind, xs, vb, t2b);
      xs = v128.load32_splat(x, 100);
      s3a = step(kind, xs, wa, s3a);
      s3b = step(kind, xs, wb, s3b);
      t3a = step(kind, xs, va, t3a);
      t3b = step(kind, xs, vb, t3b);
      wa = fetch(kind, w + 64, mask, ha, 2, highMask, shift);
      wb = fetch(kind, w + 80, mask, hb, 2, highMask, shift);
      va = fetch(kind, v + 64, mask, ia, 2, highMask, shift);
      vb = fetch(kind, v + 80, mask, ib, 2, highMask, shift);
      xs = v128.load32_splat(x, 8);
      s0a = step(kind, xs, wa, s0a);
      s0b = step(kind, xs, wb, s0b);
      t0a = step(kind, xs, va, t0a);
      t0b = step(kind, xs, vb, t0b);
      xs = v128.load32_splat(x, 40);
      s1a = step(kind, xs, wa, s1a);
      s1b = step(kind, xs, wb, s1b);
      t1a = step(kind, xs, va, t1a);
      t1b = step(kind, xs, vb, t1b);
      xs = v128.load32_splat(x, 72);
      s2a = step(kind, xs, wa, s2a);
      s2b = step(kind, xs, wb, s2b);
      t2a = step(kind, xs, va, t2a);
      t2b = step(kind, xs, vb, t2b);
      xs = v128.load32_splat(x, 104);
      s3a = step(kind, xs, wa, s3a);
      s3b = step(kind, xs, wb, s3b);
      t3a = step(kind, xs, va, t3a);
      t3b = step(kind, xs, vb, t3b);
      wa = fetch(kind, w + 96, mask, ha, 3, highMask, shift);
      wb = fetch(kind, w + 112, mask, hb, 3, highMask, shift);
      va = fetch(kind, v + 96, mask, ia, 3, highMask, shift);
      vb = fetch(kind, v + 112, mask, ib, 3, highMask, shift);
      xs = v128.load32_splat(x, 12);
      s0a = step(kind, xs, wa, s0a);
      s0b = step(kind, xs, wb, s0b);
      t0a = step(kind, xs, va, t0a);
      t0b = step(kind, xs, vb, t0b);
      xs = v128.load32_splat(x, 44);
      s1a = step(kind, xs, wa, s1a);
      s1b = step(kind, xs, wb, s1b);
      t1a = step(kind, xs, va, t1a);
      t1b = step(kind, xs, vb, t1b);
      xs = v128.load32_splat(x, 76);
      s2a = step(kind, xs, wa, s2a);
      s2b = step(kind, xs, wb, s2b);
      t2a = step(kind, xs, va, t2a);
      t2b = step(kind, xs, vb, t2b);
      xs = v128.load32_splat(x, 108);
      s3a = step(kind, xs, wa, s3a);
      s3b = step(kind, xs, wb, s3b);
      t3a = step(kind, xs, va, t3a);
      t3b = step(kind, xs, vb, t3b);
      if (kind == PACK_Q8_0) {
        w += 128;
        v += 128;
      }
      x += 16;
      shift ^= 4;
    } while (isSplit(kind) && (++part & 1) != 0);
    if (isHalved(kind)) {
      aa = scaleOf(kind, 0, pa, da);
      ab = scaleOf(kind, 0, pb, db);
      ea = scaleOf(kind, 0, qa, ga);
      eb = scaleOf(kind, 0, qb, gb);
      if (hasMinima(kind)) {
        ba = minimumOf(kind, 0, ka, ma);
        bb = minimumOf(kind, 0, kb, mb);
        ca = minimumOf(kind, 0, la, na);
        cb = minimumOf(kind, 0, lb, nb);
      }
      dx = v128.load32_splat(rest, 0);
      sums = v128.load32_splat(rest, 16);
      addTo(kind, acc + 0, startOf(kind, sums, minus0), dx, sumsOf(kind, sums, plus0), weight, s0a, s0b, aa, ab, ba, bb, t0a, t0b, ea, eb, ca, cb);
      dx = v128.load32_splat(rest, 4);
      sums = v128.load32_splat(rest, 20);
      addTo(kind, acc + 64, startOf(kind, sums, minus0), dx, sumsOf(kind, sums, plus0), weight, s1a, s1b, aa, ab, ba, bb, t1a, t1b, ea, eb, ca, cb);
      dx = v128.load32_splat(rest, 8);
      sums = v128.load32_splat(rest, 24);
      addTo(kind, acc + 128, startOf(kind, sums, minus0), dx, sumsOf(kind, sums, plus0), weight, s2a, s2b, aa, ab, ba, bb, t2a, t2b, ea, eb, ca, cb);
      dx = v128.load32_splat(rest, 12);
      sums = v128.load32_splat(rest, 28);
      addTo(kind, acc + 192, startOf(kind, sums, minus0), dx, sumsOf(kind, sums, plus0), weight, s3a, s3b, aa, ab, ba, bb, t3a, t3b, ea, eb, ca, cb);
      s0a = s0b = t0a = t0b = begin(kind, startOf(kind, v128.load32_splat(rest, 16), minus1));
      s1a = s1b = t1a = t1b = begin(kind, startOf(kind, v128.load32_splat(rest, 20), minus1));
      s2a = s2b = t2a = t2b = begin(kind, startOf(kind, v128.load32_splat(rest, 24), minus1));
      s3a = s3b = t3a = t3b = begin(kind, startOf(kind, v128.load32_splat(rest, 28), minus1));
    }
    if (isSplit(kind)) {
      sums = v128.load32_splat(rest, 16);
      putAside(kind, acc + 0, startOf(kind, sums, minus0), ones, s0a, s0b, t0a, t0b);
      sums = v128.load32_splat(rest, 20);
      putAside(kind, acc + 64, startOf(kind, sums, minus0), ones, s1a, s1b, t1a, t1b);
      sums = v128.load32_splat(rest, 24);
      putAside(kind, acc + 128, startOf(kind, sums, minus0), ones, s2a, s2b, t2a, t2b);
      sums = v128.load32_splat(rest, 28);
      putAside(kind, acc + 192, startOf(kind, sums, minus0), ones, s3a, s3b, t3a, t3b);
      s0a = s0b = t0a = t0b = s1a = s1b = t1a = t1b = zero;
      s2a = s2b = t2a = t2b = s3a = s3b = t3a = t3b = zero;
      if (kind == PACK_Q8_0) {
        w -= 256;
        v -= 256;
      }
      x -= 32;
    }
    if (isTable(kind)) ha = hb = ia = ib = highLevels;
    if (highBytes(kind) != 0) {
      const plane = high + (kind == PACK_Q6_K ? 32 : 0);
      ha = v128.load(plane);
      hb = v128.load(plane, 16);
      ia = v128.load(plane + bytes);
      ib = v128.load(plane + bytes, 16);
    }
    do {
      wa = fetch(kind, w + 0, mask, ha, 4, highMask, shift);
      wb = fetch(kind, w + 16, mask, hb, 4, highMask, shift);
      va = fetch(kind, v + 0, mask, ia, 4, highMask, shift);
      vb = fetch(kind, v + 16, mask, ib, 4, highMask, shift);
      xs = v128.load32_splat(x, 0);
      s0a = step(kind, xs, wa, s0a);
      s0b = step(kind, xs, wb, s0b);
      t0a = step(kind, xs, va, t0a);
      t0b = step(kind, xs, vb, t0b);
      xs = v128.load32_splat(x, 32);
      s1a = step(kind, xs, wa, s1a);
      s1b = step(kind, xs, wb, s1b);
      t1a = step(kind, xs, va, t1a);
      t1b = step(kind, xs, vb, t1b);
      xs = v128.load32_splat(x, 64);
      s2a = step(kind, xs, wa, s2a);
      s2b = step(kind, xs, wb, s2b);
      t2a = step(kind, xs, va, t2a);
      t2b = step(kind, xs, vb, t2b);
      xs = v128.load32_splat(x, 96);
      s3a = step(kind, xs, wa, s3a);
      s3b = step(kind, xs, wb, s3b);
      t3a = step(kind, xs, va, t3a);
      t3b = step(kind, xs, vb, t3b);
      wa = fetch(kind, w + 32, mask, ha, 5, highMask, shift);
      wb = fetch(kind, w + 48, mask, hb, 5, highMask, shift);
      va = fetch(kind, v + 32, mask, ia, 5, highMask, shift);
      vb = fetch(kind, v + 48, mask, ib, 5, highMask, shift);
      xs = v128.load32_splat(x, 4);
      s0a = step(kind, xs, wa, s0a);
      s0b = step(kind, xs, wb, s0b);
      t0a = step(kind, xs, va, t0a);
      t0b = step(kind, xs, vb, t0b);
      xs = v128.load32_splat(x, 36);
      s1a = step(kind, xs, wa, s1a);
      s1b = step(kind, xs, wb, s1b);
      t1a = step(kind, xs, va, t1a);
      t1b = step(kind, xs, vb, t1b);
      xs = v128.load32_splat(x, 68);
      s2a = step(kind, xs, wa, s2a);
      s2b = step(kind, xs, wb, s2b);
      t2a = step(kind, xs, va, t2a);
      t2b = step(kind, xs, vb, t2b);
      xs = v128.load32_splat(x, 100);
      s3a = step(kind, xs, wa, s3a);
      s3b = step(kind, xs, wb, s3b);
      t3a = step(kind, xs, va, t3a);
      t3b = step(kind, xs, vb, t3b);
      wa = fetch(kind, w + 64, mask, ha, 6, highMask, shift);
      wb = fetch(kind, w + 80, mask, hb, 6, highMask, shift);
      va = fetch(kind, v + 64, mask, ia, 6, highMask, shift);
      vb = fetch(kind, v + 80, mask, ib, 6, highMask, shift);
      xs = v128.load32_splat(x, 8);
      s0a = step(kind, xs, wa, s0a);
      s0b = step(kind, xs, wb, s0b);
      t0a = step(kind, xs, va, t0a);
      t0b = step(kind, xs, vb, t0b);
      xs = v128.load32_splat(x, 40);
      s1a = step(kind, xs, wa, s1a);
      s1b = step(kind, xs, wb, s1b);
      t1a = step(kind, xs, va, t1a);
      t1b = step(kind, xs, vb, t1b);
      xs = v128.load32_splat(x, 72);
      s2a = step(kind, xs, wa, s2a);
      s2b = step(kind, xs, wb, s2b);
      t2a = step(kind, xs, va, t2a);
      t2b = step(kind, xs, vb, t2b);
      xs = v128.load32_splat(x, 104);
      s3a = step(kind, xs, wa, s3a);
      s3b = step(kind, xs, wb, s3b);
      t3a = step(kind, xs, va, t3a);
      t3b = step(kind, xs, vb, t3b);
      wa = fetch(kind, w + 96, mask, ha, 7, highMask, shift);
      wb = fetch(kind, w + 112, mask, hb, 7, highMask, shift);
      va = fetch(kind, v + 96, mask, ia, 7, highMask, shift);
      vb = fetch(kind, v + 112, mask, ib, 7, highMask, shift);
      xs = v128.load32_splat(x, 12);
      s0a = step(kind, xs, wa, s0a);
      s0b = step(kind, xs, wb, s0b);
      t0a = step(kind, xs, va, t0a);
      t0b = step(kind, xs, vb, t0b);
      xs = v128.load32_splat(x, 44);
      s1a = step(kind, xs, wa, s1a);
      s1b = step(kind, xs, wb, s1b);
      t1a = step(kind, xs, va, t1a);
      t1b = step(kind, xs, vb, t1b);
      xs = v128.load32_splat(x, 76);
      s2a = step(kind, xs, wa, s2a);
      s2b = step(kind, xs, wb, s2b);
      t2a = step(kind, xs, va, t2a);
      t2b = step(kind, xs, vb, t2b);
      xs = v128.load32_splat(x, 108);
      s3a = step(kind, xs, wa, s3a);
      s3b = step(kind, xs, wb, s3b);
      t3a = step(kind, xs, va, t3a);
      t3b = step(kind, xs, vb, t3b);
      if (kind == PACK_Q8_0) {
        w += 128;
        v += 128;
      }
      x += 16;
      shift ^= 4;
    } while (isSplit(kind) && (++part & 1) != 0);
    if (isHalved(kind)) {
      aa = scaleOf(kind, 1, pa, da);
      ab = scaleOf(kind, 1, pb, db);
      ea = scaleOf(kind, 1, qa, ga);
      eb = scaleOf(kind, 1, qb, gb);
      if (hasMinima(kind)) {
        ba = minimumOf(kind, 1, ka, ma);
        bb = minimumOf(kind, 1, kb, mb);
        ca = minimumOf(kind, 1, la, na);
        cb = minimumOf(kind, 1, lb, nb);
      }
      dx = v128.load32_splat(rest, 0);
      sums = v128.load32_splat(rest, 16);
      addTo(kind, acc + 0, startOf(kind, sums, minus1), dx, sumsOf(kind, sums, plus1), weight, s0a, s0b, aa, ab, ba, bb, t0a, t0b, ea, eb, ca, cb);
      dx = v128.load32_splat(rest, 4);
      sums = v128.load32_splat(rest, 20);
      addTo(kind, acc + 64, startOf(kind, sums, minus1), dx, sumsOf(kind, sums, plus1), weight, s1a, s1b, aa, ab, ba, bb, t1a, t1b, ea, eb, ca, cb);
      dx = v128.load32_splat(rest, 8);
      sums = v128.load32_splat(rest, 24);
      addTo(kind, acc + 128, startOf(kind, sums, minus1), dx, sumsOf(kind, sums, plus1), weight, s2a, s2b, aa, ab, ba, bb, t2a, t2b, ea, eb, ca, cb);
      dx = v128.load32_splat(rest, 12);
      sums = v128.load32_splat(rest, 28);
      addTo(kind, acc + 192, startOf(kind, sums, minus1), dx, sumsOf(kind, sums, plus1), weight, s3a, s3b, aa, ab, ba, bb, t3a, t3b, ea, eb, ca, cb);
    } else {
      aa = scaleOf(kind, 0, pa, da);
      ab = scaleOf(kind, 0, pb, db);
      ea = scaleOf(kind, 0, qa, ga);
      eb = scaleOf(kind, 0, qb, gb);
      if (hasMinima(kind)) {
        ba = minimumOf(kind, 0, ka, ma);
        bb = minimumOf(kind, 0, kb, mb);
        ca = minimumOf(kind, 0, la, na);
        cb = minimumOf(kind, 0, lb, nb);
      }
      dx = v128.load32_splat(rest, 0);
      sums = v128.load32_splat(rest, 16);
      addTo(kind, acc + 0, startOf(kind, sums, minus0), dx, sumsOf(kind, sums, plus0), weight, s0a, s0b, aa, ab, ba, bb, t0a, t0b, ea, eb, ca, cb);
      dx = v128.load32_splat(rest, 4);
      sums = v128.load32_splat(rest, 20);
      addTo(kind, acc + 64, startOf(kind, sums, minus0), dx, sumsOf(kind, sums, plus0), weight, s1a, s1b, aa, ab, ba, bb, t1a, t1b, ea, eb, ca, cb);
      dx = v128.load32_splat(rest, 8);
      sums = v128.load32_splat(rest, 24);
      addTo(kind, acc + 128, startOf(kind, sums, minus0), dx, sumsOf(kind, sums, plus0), weight, s2a, s2b, aa, ab, ba, bb, t2a, t2b, ea, eb, ca, cb);
      dx = v128.load32_splat(rest, 12);
      sums = v128.load32_splat(rest, 28);
      addTo(kind, acc + 192, startOf(kind, sums, minus0), dx, sumsOf(kind, sums, plus0), weight, s3a, s3b, aa, ab, ba, bb, t3a, t3b, ea, eb, ca, cb);
    }
    x = rest + 32;
    // Q8_0's quants have been passed on the way.
    w += blockStride(kind) - (kind == PACK_Q8_0 ? 256 : 0);
    v += blockStride(kind) - (kind == PACK_Q8_0 ? 256 : 0);
  }
}

/** Sums of one activation and 16 rows += what this block (or half) adds. */
@inline
function addTo(
  kind: i32,
  acc: usize,
  start: v128,
  dx: v128,
  sums: v128,
  weight: v128,
  sa: v128,
  sb: v128,
  aa: v128,
  ab: v128,
  ba: v128,
  bb: v128,
  ta: v128,
  tb: v128,
  ea: v128,
  eb: v128,
  ca: v128,
  cb: v128,
): void {
  const Sa = end(kind, sa, isSplit(kind) ? v128.load(acc, 256) : start, weight);
  const Sb = end(kind, sb, isSplit(kind) ? v128.load(acc, 272) : start, weight);
  const Ta = end(kind, ta, isSplit(kind) ? v128.load(acc, 288) : start, weight);
  const Tb = end(kind, tb, isSplit(kind) ? v128.load(acc, 304) : start, weight);
  const ya = f32x4.add(v128.load(acc), scaled(kind, Sa, aa, ba, sums, dx));
  const yb = f32x4.add(v128.load(acc, 16), scaled(kind, Sb, ab, bb, sums, dx));
  v128.store(acc, ya);
  v128.store(acc, yb, 16);
  const za = f32x4.add(v128.load(acc, 32), scaled(kind, Ta, ea, ca, sums, dx));
  const zb = f32x4.add(v128.load(acc, 48), scaled(kind, Tb, eb, cb, sums, dx));
  v128.store(acc, za, 32);
  v128.store(acc, zb, 48);
}

/** The low nibbles' part of T, which waits for the high nibbles'. */
@inline
function putAside(kind: i32, acc: usize, start: v128, ones: v128, sa: v128, sb: v128, ta: v128, tb: v128): void {
  const Sa = end(kind, sa, start, ones);
  const Sb = end(kind, sb, start, ones);
  const Ta = end(kind, ta, start, ones);
  const Tb = end(kind, tb, start, ones);
  v128.store(acc, Sa, 256);
  v128.store(acc, Sb, 272);
  v128.store(acc, Ta, 288);
  v128.store(acc, Tb, 304);
}
