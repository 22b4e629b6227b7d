// The inner products of attention over one block of 32 positions in f32: keys in panels of 8 positions (32·E bytes each), value rows of
// E' columns. Sums run over columns, or positions, in ascending order, one multiply-add each. Written as pairs of neighbouring v128.
import { madd } from '../simd.assembly';
import { startOfSum } from '../linear/pieces.assembly';

/** scores (4 rows of 32) = q·k of 4 query rows, 16 positions at a time. */
export function scoresFour(scores: usize, q0: usize, q1: usize, q2: usize, q3: usize, keys: usize, E: usize): void {
  const zero = startOfSum();
  const panel = E * 32;
  for (let half = 0; half < 2; half++, scores += 64) {
    let k = keys + <usize>half * 2 * panel;
    let m = k + panel;
    let a0a = zero;
    let a0b = zero;
    let c0a = zero;
    let c0b = zero;
    let a1a = zero;
    let a1b = zero;
    let c1a = zero;
    let c1b = zero;
    let a2a = zero;
    let a2b = zero;
    let c2a = zero;
    let c2b = zero;
    let a3a = zero;
    let a3b = zero;
    let c3a = zero;
    let c3b = zero;
    for (let e: usize = 0; e < E * 4; e += 4, k += 32, m += 32) {
      const ka = v128.load(k);
      const kb = v128.load(k, 16);
      const ma = v128.load(m);
      const mb = v128.load(m, 16);
      let q = v128.load32_splat(q0 + e);
      a0a = madd(ka, q, a0a);
      a0b = madd(kb, q, a0b);
      c0a = madd(ma, q, c0a);
      c0b = madd(mb, q, c0b);
      q = v128.load32_splat(q1 + e);
      a1a = madd(ka, q, a1a);
      a1b = madd(kb, q, a1b);
      c1a = madd(ma, q, c1a);
      c1b = madd(mb, q, c1b);
      q = v128.load32_splat(q2 + e);
      a2a = madd(ka, q, a2a);
      a2b = madd(kb, q, a2b);
      c2a = madd(ma, q, c2a);
      c2b = madd(mb, q, c2b);
      q = v128.load32_splat(q3 + e);
      a3a = madd(ka, q, a3a);
      a3b = madd(kb, q, a3b);
      c3a = madd(ma, q, c3a);
      c3b = madd(mb, q, c3b);
    }
    v128.store(scores, a0a);
    v128.store(scores, a0b, 16);
    v128.store(scores, c0a, 32);
    v128.store(scores, c0b, 48);
    v128.store(scores, a1a, 128);
    v128.store(scores, a1b, 144);
    v128.store(scores, c1a, 160);
    v128.store(scores, c1b, 176);
    v128.store(scores, a2a, 256);
    v128.store(scores, a2b, 272);
    v128.store(scores, c2a, 288);
    v128.store(scores, c2b, 304);
    v128.store(scores, a3a, 384);
    v128.store(scores, a3b, 400);
    v128.store(scores, c3a, 416);
    v128.store(scores, c3b, 432);
  }
}

/** scores (32) = q·k of one query row. */
export function scoresOne(scores: usize, q0: usize, keys: usize, E: usize): void {
  const zero = startOfSum();
  const panel = E * 32;
  let k0 = keys;
  let k1 = keys + panel;
  let k2 = k1 + panel;
  let k3 = k2 + panel;
  let a0a = zero;
  let a0b = zero;
  let a1a = zero;
  let a1b = zero;
  let a2a = zero;
  let a2b = zero;
  let a3a = zero;
  let a3b = zero;
  for (let e: usize = 0; e < E * 4; e += 4) {
    const q = v128.load32_splat(q0 + e);
    a0a = madd(v128.load(k0), q, a0a);
    a0b = madd(v128.load(k0, 16), q, a0b);
    a1a = madd(v128.load(k1), q, a1a);
    a1b = madd(v128.load(k1, 16), q, a1b);
    a2a = madd(v128.load(k2), q, a2a);
    a2b = madd(v128.load(k2, 16), q, a2b);
    a3a = madd(v128.load(k3), q, a3a);
    a3b = madd(v128.load(k3, 16), q, a3b);
    k0 += 32;
    k1 += 32;
    k2 += 32;
    k3 += 32;
  }
  v128.store(scores, a0a);
  v128.store(scores, a0b, 16);
  v128.store(scores, a1a, 32);
  v128.store(scores, a1b, 48);
  v128.store(scores, a2a, 64);
  v128.store(scores, a2b, 80);
  v128.store(scores, a3a, 96);
  v128.store(scores, a3b, 112);
}

/** o (4 rows, `stride` bytes apart) += Σ p_s · v_s over the positions from … to − 1, 16 columns at a time, then 8. */
export function mixFour(o: usize, stride: usize, p: usize, values: usize, from: i32, to: i32): void {
  let v = values + <usize>from * stride;
  let e: usize = 0;
  for (; e + 64 <= stride; e += 64, o += 64, v += 64) mixWide(o, stride, p + (<usize>from << 2), v, to - from);
  if (e < stride) {
    for (let r = 0; r < 4; r++) mixNarrow(o + r * stride, stride, p + (r << 7) + (<usize>from << 2), v, to - from);
  }
}

function mixWide(o: usize, stride: usize, p: usize, v: usize, count: i32): void {
  const o1 = o + stride;
  const o2 = o1 + stride;
  const o3 = o2 + stride;
  let a0a = v128.load(o);
  let a0b = v128.load(o, 16);
  let c0a = v128.load(o, 32);
  let c0b = v128.load(o, 48);
  let a1a = v128.load(o1);
  let a1b = v128.load(o1, 16);
  let c1a = v128.load(o1, 32);
  let c1b = v128.load(o1, 48);
  let a2a = v128.load(o2);
  let a2b = v128.load(o2, 16);
  let c2a = v128.load(o2, 32);
  let c2b = v128.load(o2, 48);
  let a3a = v128.load(o3);
  let a3b = v128.load(o3, 16);
  let c3a = v128.load(o3, 32);
  let c3b = v128.load(o3, 48);
  for (let s = 0; s < count; s++, p += 4, v += stride) {
    const va = v128.load(v);
    const vb = v128.load(v, 16);
    const wa = v128.load(v, 32);
    const wb = v128.load(v, 48);
    let ps = v128.load32_splat(p);
    a0a = madd(va, ps, a0a);
    a0b = madd(vb, ps, a0b);
    c0a = madd(wa, ps, c0a);
    c0b = madd(wb, ps, c0b);
    ps = v128.load32_splat(p, 128);
    a1a = madd(va, ps, a1a);
    a1b = madd(vb, ps, a1b);
    c1a = madd(wa, ps, c1a);
    c1b = madd(wb, ps, c1b);
    ps = v128.load32_splat(p, 256);
    a2a = madd(va, ps, a2a);
    a2b = madd(vb, ps, a2b);
    c2a = madd(wa, ps, c2a);
    c2b = madd(wb, ps, c2b);
    ps = v128.load32_splat(p, 384);
    a3a = madd(va, ps, a3a);
    a3b = madd(vb, ps, a3b);
    c3a = madd(wa, ps, c3a);
    c3b = madd(wb, ps, c3b);
  }
  v128.store(o, a0a);
  v128.store(o, a0b, 16);
  v128.store(o, c0a, 32);
  v128.store(o, c0b, 48);
  v128.store(o1, a1a);
  v128.store(o1, a1b, 16);
  v128.store(o1, c1a, 32);
  v128.store(o1, c1b, 48);
  v128.store(o2, a2a);
  v128.store(o2, a2b, 16);
  v128.store(o2, c2a, 32);
  v128.store(o2, c2b, 48);
  v128.store(o3, a3a);
  v128.store(o3, a3b, 16);
  v128.store(o3, c3a, 32);
  v128.store(o3, c3b, 48);
}

function mixNarrow(o: usize, stride: usize, p: usize, v: usize, count: i32): void {
  let a = v128.load(o);
  let b = v128.load(o, 16);
  for (let s = 0; s < count; s++, p += 4, v += stride) {
    const ps = v128.load32_splat(p);
    a = madd(v128.load(v), ps, a);
    b = madd(v128.load(v, 16), ps, b);
  }
  v128.store(o, a);
  v128.store(o, b, 16);
}

/** The same for one row, 32 columns at a time, then 8. */
export function mixOne(o: usize, stride: usize, p: usize, values: usize, from: i32, to: i32): void {
  let v = values + <usize>from * stride;
  p += <usize>from << 2;
  let e: usize = 0;
  for (; e + 128 <= stride; e += 128, o += 128, v += 128) {
    let at = v;
    let pAt = p;
    let a0a = v128.load(o);
    let a0b = v128.load(o, 16);
    let a1a = v128.load(o, 32);
    let a1b = v128.load(o, 48);
    let a2a = v128.load(o, 64);
    let a2b = v128.load(o, 80);
    let a3a = v128.load(o, 96);
    let a3b = v128.load(o, 112);
    for (let s = from; s < to; s++, pAt += 4, at += stride) {
      const ps = v128.load32_splat(pAt);
      a0a = madd(v128.load(at), ps, a0a);
      a0b = madd(v128.load(at, 16), ps, a0b);
      a1a = madd(v128.load(at, 32), ps, a1a);
      a1b = madd(v128.load(at, 48), ps, a1b);
      a2a = madd(v128.load(at, 64), ps, a2a);
      a2b = madd(v128.load(at, 80), ps, a2b);
      a3a = madd(v128.load(at, 96), ps, a3a);
      a3b = madd(v128.load(at, 112), ps, a3b);
    }
    v128.store(o, a0a);
    v128.store(o, a0b, 16);
    v128.store(o, a1a, 32);
    v128.store(o, a1b, 48);
    v128.store(o, a2a, 64);
    v128.store(o, a2b, 80);
    v128.store(o, a3a, 96);
    v128.store(o, a3b, 112);
  }
  for (; e < stride; e += 32, o += 32, v += 32) mixNarrow(o, stride, p, v, to - from);
}
