// Matrix-matrix products over int8 activations: two panels (16 rows) × 4 activation rows, on panels that expand.assembly.ts has unpacked
// to one byte a weight. Every activation that is broadcast meets 16 rows; everything is written for rows 0…3 and 4…7 (…a, …b) of both
// panels (p, q) in neighbouring statements, so that an engine that joins pairs of 128-bit operations can.
import { PACK_Q8_0 } from '../tasks';
import { flushCount, groupsPerFlush, hasFactors, hasMinima, hasOffsets } from './expand.assembly';
import { offsetOf } from './layout.assembly';
import { dotPairs, kept, startOfSum, storeEight } from './pieces.assembly';

@inline
function summed(form: i32, sum: v128, part: v128): v128 {
  return flushCount(form) == 1 ? part : i32x4.add(sum, part);
}

/** y (4 rows, yRow bytes apart; only the first `lanes` are wanted) = x (a tile of 4) · an expanded pair of panels (p, q), which holds `rows` rows or more. */
@inline
export function gemmTile(
  form: i32,
  w: usize,
  x: usize,
  blocks: usize,
  y: usize,
  yRow: usize,
  lanes: usize,
  bias: usize,
  rows: i32,
): void {
  const zero = startOfSum();
  const ones = kept(i16x8.splat(1));
  const offsets = kept(i16x8.splat(<i16>offsetOf(form)));
  let p0a = zero;
  let p0b = zero;
  let q0a = zero;
  let q0b = zero;
  let p1a = zero;
  let p1b = zero;
  let q1a = zero;
  let q1b = zero;
  let p2a = zero;
  let p2b = zero;
  let q2a = zero;
  let q2b = zero;
  let p3a = zero;
  let p3b = zero;
  let q3a = zero;
  let q3b = zero;
  for (let block: usize = 0; block < blocks; block++) {
    let S0a = zero;
    let S0b = zero;
    let T0a = zero;
    let T0b = zero;
    let S1a = zero;
    let S1b = zero;
    let T1a = zero;
    let T1b = zero;
    let S2a = zero;
    let S2b = zero;
    let T2a = zero;
    let T2b = zero;
    let S3a = zero;
    let S3b = zero;
    let T3a = zero;
    let T3b = zero;
    let flush = 0;
    do {
      let s0a = zero;
      let s0b = zero;
      let t0a = zero;
      let t0b = zero;
      let s1a = zero;
      let s1b = zero;
      let t1a = zero;
      let t1b = zero;
      let s2a = zero;
      let s2b = zero;
      let t2a = zero;
      let t2b = zero;
      let s3a = zero;
      let s3b = zero;
      let t3a = zero;
      let t3b = zero;
      for (const end = x + 4 * groupsPerFlush(form); x < end; ) {
        let wa = v128.load(w);
        let wb = v128.load(w, 16);
        let va = v128.load(w, 32);
        let vb = v128.load(w, 48);
        let xs = v128.load32_splat(x);
        s0a = i16x8.add(s0a, dotPairs(xs, wa));
        s0b = i16x8.add(s0b, dotPairs(xs, wb));
        t0a = i16x8.add(t0a, dotPairs(xs, va));
        t0b = i16x8.add(t0b, dotPairs(xs, vb));
        xs = v128.load32_splat(x, 32);
        s1a = i16x8.add(s1a, dotPairs(xs, wa));
        s1b = i16x8.add(s1b, dotPairs(xs, wb));
        t1a = i16x8.add(t1a, dotPairs(xs, va));
        t1b = i16x8.add(t1b, dotPairs(xs, vb));
        xs = v128.load32_splat(x, 64);
        s2a = i16x8.add(s2a, dotPairs(xs, wa));
        s2b = i16x8.add(s2b, dotPairs(xs, wb));
        t2a = i16x8.add(t2a, dotPairs(xs, va));
        t2b = i16x8.add(t2b, dotPairs(xs, vb));
        xs = v128.load32_splat(x, 96);
        s3a = i16x8.add(s3a, dotPairs(xs, wa));
        s3b = i16x8.add(s3b, dotPairs(xs, wb));
        t3a = i16x8.add(t3a, dotPairs(xs, va));
        t3b = i16x8.add(t3b, dotPairs(xs, vb));
        wa = v128.load(w, 64);
        wb = v128.load(w, 80);
        va = v128.load(w, 96);
        vb = v128.load(w, 112);
        xs = v128.load32_splat(x, 4);
        s0a = i16x8.add(s0a, dotPairs(xs, wa));
        s0b = i16x8.add(s0b, dotPairs(xs, wb));
        t0a = i16x8.add(t0a, dotPairs(xs, va));
        t0b = i16x8.add(t0b, dotPairs(xs, vb));
        xs = v128.load32_splat(x, 36);
        s1a = i16x8.add(s1a, dotPairs(xs, wa));
        s1b = i16x8.add(s1b, dotPairs(xs, wb));
        t1a = i16x8.add(t1a, dotPairs(xs, va));
        t1b = i16x8.add(t1b, dotPairs(xs, vb));
        xs = v128.load32_splat(x, 68);
        s2a = i16x8.add(s2a, dotPairs(xs, wa));
        s2b = i16x8.add(s2b, dotPairs(xs, wb));
        t2a = i16x8.add(t2a, dotPairs(xs, va));
        t2b = i16x8.add(t2b, dotPairs(xs, vb));
        xs = v128.load32_splat(x, 100);
        s3a = i16x8.add(s3a, dotPairs(xs, wa));
        s3b = i16x8.add(s3b, dotPairs(xs, wb));
        t3a = i16x8.add(t3a, dotPairs(xs, va));
        t3b = i16x8.add(t3b, dotPairs(xs, vb));
        w += 128;
        x += 8;
      }
      // both planes of Q8_0 meet the same activations
      if (form == PACK_Q8_0 && flush == 0) x -= 32;
      if (hasFactors(form)) {
        const wa = v128.load(w);
        const wb = v128.load(w, 16);
        const va = v128.load(w, 32);
        const vb = v128.load(w, 48);
        S0a = summed(form, S0a, i32x4.dot_i16x8_s(s0a, wa));
        S0b = summed(form, S0b, i32x4.dot_i16x8_s(s0b, wb));
        T0a = summed(form, T0a, i32x4.dot_i16x8_s(t0a, va));
        T0b = summed(form, T0b, i32x4.dot_i16x8_s(t0b, vb));
        S1a = summed(form, S1a, i32x4.dot_i16x8_s(s1a, wa));
        S1b = summed(form, S1b, i32x4.dot_i16x8_s(s1b, wb));
        T1a = summed(form, T1a, i32x4.dot_i16x8_s(t1a, va));
        T1b = summed(form, T1b, i32x4.dot_i16x8_s(t1b, vb));
        S2a = summed(form, S2a, i32x4.dot_i16x8_s(s2a, wa));
        S2b = summed(form, S2b, i32x4.dot_i16x8_s(s2b, wb));
        T2a = summed(form, T2a, i32x4.dot_i16x8_s(t2a, va));
        T2b = summed(form, T2b, i32x4.dot_i16x8_s(t2b, vb));
        S3a = summed(form, S3a, i32x4.dot_i16x8_s(s3a, wa));
        S3b = summed(form, S3b, i32x4.dot_i16x8_s(s3b, wb));
        T3a = summed(form, T3a, i32x4.dot_i16x8_s(t3a, va));
        T3b = summed(form, T3b, i32x4.dot_i16x8_s(t3b, vb));
        w += 64;
      } else {
        S0a = summed(form, S0a, i32x4.dot_i16x8_s(s0a, ones));
        S0b = summed(form, S0b, i32x4.dot_i16x8_s(s0b, ones));
        T0a = summed(form, T0a, i32x4.dot_i16x8_s(t0a, ones));
        T0b = summed(form, T0b, i32x4.dot_i16x8_s(t0b, ones));
        S1a = summed(form, S1a, i32x4.dot_i16x8_s(s1a, ones));
        S1b = summed(form, S1b, i32x4.dot_i16x8_s(s1b, ones));
        T1a = summed(form, T1a, i32x4.dot_i16x8_s(t1a, ones));
        T1b = summed(form, T1b, i32x4.dot_i16x8_s(t1b, ones));
        S2a = summed(form, S2a, i32x4.dot_i16x8_s(s2a, ones));
        S2b = summed(form, S2b, i32x4.dot_i16x8_s(s2b, ones));
        T2a = summed(form, T2a, i32x4.dot_i16x8_s(t2a, ones));
        T2b = summed(form, T2b, i32x4.dot_i16x8_s(t2b, ones));
        S3a = summed(form, S3a, i32x4.dot_i16x8_s(s3a, ones));
        S3b = summed(form, S3b, i32x4.dot_i16x8_s(s3b, ones));
        T3a = summed(form, T3a, i32x4.dot_i16x8_s(t3a, ones));
        T3b = summed(form, T3b, i32x4.dot_i16x8_s(t3b, ones));
      }
    } while (flushCount(form) > 1 && ++flush < flushCount(form));
    const da = v128.load(w);
    const db = v128.load(w, 16);
    const ea = v128.load(w, 32);
    const eb = v128.load(w, 48);
    w += 64;
    const dx0 = v128.load32_splat(x, 96);
    const dx1 = v128.load32_splat(x, 100);
    const dx2 = v128.load32_splat(x, 104);
    const dx3 = v128.load32_splat(x, 108);
    if (offsetOf(form) != 0 && !hasOffsets(form)) {
      const offset0 = i32x4.dot_i16x8_s(v128.load32_splat(x, 112), offsets);
      S0a = i32x4.sub(S0a, offset0);
      S0b = i32x4.sub(S0b, offset0);
      T0a = i32x4.sub(T0a, offset0);
      T0b = i32x4.sub(T0b, offset0);
      const offset1 = i32x4.dot_i16x8_s(v128.load32_splat(x, 116), offsets);
      S1a = i32x4.sub(S1a, offset1);
      S1b = i32x4.sub(S1b, offset1);
      T1a = i32x4.sub(T1a, offset1);
      T1b = i32x4.sub(T1b, offset1);
      const offset2 = i32x4.dot_i16x8_s(v128.load32_splat(x, 120), offsets);
      S2a = i32x4.sub(S2a, offset2);
      S2b = i32x4.sub(S2b, offset2);
      T2a = i32x4.sub(T2a, offset2);
      T2b = i32x4.sub(T2b, offset2);
      const offset3 = i32x4.dot_i16x8_s(v128.load32_splat(x, 124), offsets);
      S3a = i32x4.sub(S3a, offset3);
      S3b = i32x4.sub(S3b, offset3);
      T3a = i32x4.sub(T3a, offset3);
      T3b = i32x4.sub(T3b, offset3);
    }
    if (hasOffsets(form)) {
      const oa = v128.load(w);
      const ob = v128.load(w, 16);
      const ua = v128.load(w, 32);
      const ub = v128.load(w, 48);
      w += 64;
      const sums0 = v128.load32_splat(x, 112);
      S0a = i32x4.sub(S0a, i32x4.dot_i16x8_s(oa, sums0));
      S0b = i32x4.sub(S0b, i32x4.dot_i16x8_s(ob, sums0));
      T0a = i32x4.sub(T0a, i32x4.dot_i16x8_s(ua, sums0));
      T0b = i32x4.sub(T0b, i32x4.dot_i16x8_s(ub, sums0));
      const sums1 = v128.load32_splat(x, 116);
      S1a = i32x4.sub(S1a, i32x4.dot_i16x8_s(oa, sums1));
      S1b = i32x4.sub(S1b, i32x4.dot_i16x8_s(ob, sums1));
      T1a = i32x4.sub(T1a, i32x4.dot_i16x8_s(ua, sums1));
      T1b = i32x4.sub(T1b, i32x4.dot_i16x8_s(ub, sums1));
      const sums2 = v128.load32_splat(x, 120);
      S2a = i32x4.sub(S2a, i32x4.dot_i16x8_s(oa, sums2));
      S2b = i32x4.sub(S2b, i32x4.dot_i16x8_s(ob, sums2));
      T2a = i32x4.sub(T2a, i32x4.dot_i16x8_s(ua, sums2));
      T2b = i32x4.sub(T2b, i32x4.dot_i16x8_s(ub, sums2));
      const sums3 = v128.load32_splat(x, 124);
      S3a = i32x4.sub(S3a, i32x4.dot_i16x8_s(oa, sums3));
      S3b = i32x4.sub(S3b, i32x4.dot_i16x8_s(ob, sums3));
      T3a = i32x4.sub(T3a, i32x4.dot_i16x8_s(ua, sums3));
      T3b = i32x4.sub(T3b, i32x4.dot_i16x8_s(ub, sums3));
    }
    p0a = f32x4.add(p0a, f32x4.mul(f32x4.convert_i32x4_s(S0a), f32x4.mul(da, dx0)));
    p0b = f32x4.add(p0b, f32x4.mul(f32x4.convert_i32x4_s(S0b), f32x4.mul(db, dx0)));
    q0a = f32x4.add(q0a, f32x4.mul(f32x4.convert_i32x4_s(T0a), f32x4.mul(ea, dx0)));
    q0b = f32x4.add(q0b, f32x4.mul(f32x4.convert_i32x4_s(T0b), f32x4.mul(eb, dx0)));
    p1a = f32x4.add(p1a, f32x4.mul(f32x4.convert_i32x4_s(S1a), f32x4.mul(da, dx1)));
    p1b = f32x4.add(p1b, f32x4.mul(f32x4.convert_i32x4_s(S1b), f32x4.mul(db, dx1)));
    q1a = f32x4.add(q1a, f32x4.mul(f32x4.convert_i32x4_s(T1a), f32x4.mul(ea, dx1)));
    q1b = f32x4.add(q1b, f32x4.mul(f32x4.convert_i32x4_s(T1b), f32x4.mul(eb, dx1)));
    p2a = f32x4.add(p2a, f32x4.mul(f32x4.convert_i32x4_s(S2a), f32x4.mul(da, dx2)));
    p2b = f32x4.add(p2b, f32x4.mul(f32x4.convert_i32x4_s(S2b), f32x4.mul(db, dx2)));
    q2a = f32x4.add(q2a, f32x4.mul(f32x4.convert_i32x4_s(T2a), f32x4.mul(ea, dx2)));
    q2b = f32x4.add(q2b, f32x4.mul(f32x4.convert_i32x4_s(T2b), f32x4.mul(eb, dx2)));
    p3a = f32x4.add(p3a, f32x4.mul(f32x4.convert_i32x4_s(S3a), f32x4.mul(da, dx3)));
    p3b = f32x4.add(p3b, f32x4.mul(f32x4.convert_i32x4_s(S3b), f32x4.mul(db, dx3)));
    q3a = f32x4.add(q3a, f32x4.mul(f32x4.convert_i32x4_s(T3a), f32x4.mul(ea, dx3)));
    q3b = f32x4.add(q3b, f32x4.mul(f32x4.convert_i32x4_s(T3b), f32x4.mul(eb, dx3)));
    if (hasMinima(form)) {
      const ma = v128.load(w);
      const mb = v128.load(w, 16);
      const na = v128.load(w, 32);
      const nb = v128.load(w, 48);
      const ia = v128.load(w, 64);
      const ib = v128.load(w, 80);
      const ja = v128.load(w, 96);
      const jb = v128.load(w, 112);
      w += 128;
      const sums0 = v128.load32_splat(x, 112);
      p0a = f32x4.sub(p0a, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ia, sums0)), f32x4.mul(ma, dx0)));
      p0b = f32x4.sub(p0b, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ib, sums0)), f32x4.mul(mb, dx0)));
      q0a = f32x4.sub(q0a, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ja, sums0)), f32x4.mul(na, dx0)));
      q0b = f32x4.sub(q0b, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(jb, sums0)), f32x4.mul(nb, dx0)));
      const sums1 = v128.load32_splat(x, 116);
      p1a = f32x4.sub(p1a, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ia, sums1)), f32x4.mul(ma, dx1)));
      p1b = f32x4.sub(p1b, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ib, sums1)), f32x4.mul(mb, dx1)));
      q1a = f32x4.sub(q1a, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ja, sums1)), f32x4.mul(na, dx1)));
      q1b = f32x4.sub(q1b, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(jb, sums1)), f32x4.mul(nb, dx1)));
      const sums2 = v128.load32_splat(x, 120);
      p2a = f32x4.sub(p2a, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ia, sums2)), f32x4.mul(ma, dx2)));
      p2b = f32x4.sub(p2b, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ib, sums2)), f32x4.mul(mb, dx2)));
      q2a = f32x4.sub(q2a, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ja, sums2)), f32x4.mul(na, dx2)));
      q2b = f32x4.sub(q2b, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(jb, sums2)), f32x4.mul(nb, dx2)));
      const sums3 = v128.load32_splat(x, 124);
      p3a = f32x4.sub(p3a, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ia, sums3)), f32x4.mul(ma, dx3)));
      p3b = f32x4.sub(p3b, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ib, sums3)), f32x4.mul(mb, dx3)));
      q3a = f32x4.sub(q3a, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(ja, sums3)), f32x4.mul(na, dx3)));
      q3b = f32x4.sub(q3b, f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(jb, sums3)), f32x4.mul(nb, dx3)));
    }
    x += 128;
  }
  storeEight(p0a, p0b, y, bias, rows);
  if (rows > 8) storeEight(q0a, q0b, y + 32, bias == 0 ? 0 : bias + 32, rows - 8);
  if (lanes > 1) {
    storeEight(p1a, p1b, y + yRow, bias, rows);
    if (rows > 8) storeEight(q1a, q1b, y + yRow + 32, bias == 0 ? 0 : bias + 32, rows - 8);
  }
  if (lanes > 2) {
    storeEight(p2a, p2b, y + 2 * yRow, bias, rows);
    if (rows > 8) storeEight(q2a, q2b, y + 2 * yRow + 32, bias == 0 ? 0 : bias + 32, rows - 8);
  }
  if (lanes > 3) {
    storeEight(p3a, p3b, y + 3 * yRow, bias, rows);
    if (rows > 8) storeEight(q3a, q3b, y + 3 * yRow + 32, bias == 0 ? 0 : bias + 32, rows - 8);
  }
}
