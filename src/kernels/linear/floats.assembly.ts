// `linear` over f32 activations and f32, f16 or bf16 weights: y_no = Σ_i w_oi · x_ni, column after column, one multiply-add each
// (fused in the relaxed build). Two panels (16 rows) × 1 or 4 activation rows at a time; the order of operations of an element is
// the same in all of them. For several activation rows, f16 and bf16 panels are widened to f32 first. Written as pairs of v128.
import { arg, madd } from '../simd.assembly';
import { PACK_BF16, PACK_F16, PACK_F32 } from '../tasks';
import { panelBytes } from './layout.assembly';
import { scaleMask, startOfSum, storeEight } from './pieces.assembly';

/**
 * Arguments: 0 kind, 1 packed w, 2 columns, 3 rows of w (O), 4 x, 5 N, 6 (unused), 7 y, 8 bias (0: none), 9 scratch, 10 scratch bytes a
 * thread (two panels as f32). Unit = one panel.
 */
export function linearFloats(first: i32, last: i32, thread: i32): void {
  const kind = <i32>arg(0);
  const columns = arg(2);
  const N = arg(5);
  const bytes = panelBytes(kind, columns);
  const wide = arg(9) + <usize>thread * arg(10);
  for (let panel: usize = first; panel < <usize>last; panel += 2) {
    let w = arg(1) + panel * bytes;
    let v = panel + 1 < <usize>last ? w + bytes : w;
    const rows = min(<i32>arg(3) - <i32>panel * 8, v == w ? 8 : 16);
    let n: usize = 0;
    if (N >= 4) {
      if (kind != PACK_F32) {
        widen(kind, wide, w, columns);
        widen(kind, wide + columns * 32, v, columns);
        w = wide;
        v = wide + columns * 32;
      }
      for (; n + 4 <= N; n += 4) four(w, v, panel, rows, n);
    }
    for (; n < N; n++) {
      if (kind == PACK_F32 || N >= 4) oneF32(w, v, panel, rows, n);
      else if (kind == PACK_F16) oneF16(w, v, panel, rows, n);
      else oneBF16(w, v, panel, rows, n);
    }
  }
}

@inline
function yAt(panel: usize, n: usize): usize {
  return arg(7) + (n * arg(3) + panel * 8) * 4;
}
@inline
function biasAt(panel: usize): usize {
  return arg(8) == 0 ? 0 : arg(8) + panel * 32;
}

/** A panel of f16 or bf16 as f32. */
function widen(kind: i32, out: usize, w: usize, columns: usize): void {
  const unlift = kind == PACK_F16 ? v128.load32_splat(w + columns * 16) : f32x4.splat(1);
  const mask = scaleMask();
  for (const end = w + columns * 16; w < end; w += 16, out += 32) {
    if (kind == PACK_F16) {
      v128.store(out, f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(w), 13), mask), unlift));
      v128.store(out, f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(w, 8), 13), mask), unlift), 16);
    } else {
      v128.store(out, i32x4.shl(v128.load16x4_u(w), 16));
      v128.store(out, i32x4.shl(v128.load16x4_u(w, 8), 16), 16);
    }
  }
}

/** Four weights, `at` bytes on: f16 comes out times a power of two that `unlift` undoes. */
@inline
function narrow(kind: i32, wide: v128, mask: v128, unlift: v128): v128 {
  if (kind == PACK_BF16) return i32x4.shl(wide, 16);
  return f32x4.mul(v128.and(i32x4.shl(wide, 13), mask), unlift);
}

@inline
function oneNarrow(kind: i32, w: usize, v: usize, panel: usize, rows: i32, n: usize): void {
  const columns = arg(2);
  const mask = scaleMask();
  const uw = kind == PACK_F16 ? v128.load32_splat(w + columns * 16) : mask;
  const uv = kind == PACK_F16 ? v128.load32_splat(v + columns * 16) : mask;
  const zero = startOfSum();
  let x = arg(4) + n * columns * 4;
  let pa = zero;
  let pb = zero;
  let qa = zero;
  let qb = zero;
  for (const end = x + columns * 4; x < end; x += 4, w += 16, v += 16) {
    const xs = v128.load32_splat(x);
    if (kind == PACK_BF16) {
      pa = madd(narrow(kind, v128.load16x4_u(w), mask, uw), xs, pa);
      pb = madd(narrow(kind, v128.load16x4_u(w, 8), mask, uw), xs, pb);
      qa = madd(narrow(kind, v128.load16x4_u(v), mask, uv), xs, qa);
      qb = madd(narrow(kind, v128.load16x4_u(v, 8), mask, uv), xs, qb);
    } else {
      pa = madd(narrow(kind, v128.load16x4_s(w), mask, uw), xs, pa);
      pb = madd(narrow(kind, v128.load16x4_s(w, 8), mask, uw), xs, pb);
      qa = madd(narrow(kind, v128.load16x4_s(v), mask, uv), xs, qa);
      qb = madd(narrow(kind, v128.load16x4_s(v, 8), mask, uv), xs, qb);
    }
  }
  storeEight(pa, pb, yAt(panel, n), biasAt(panel), rows);
  if (rows > 8) storeEight(qa, qb, yAt(panel + 1, n), biasAt(panel + 1), rows - 8);
}
function oneF16(w: usize, v: usize, panel: usize, rows: i32, n: usize): void {
  oneNarrow(PACK_F16, w, v, panel, rows, n);
}
function oneBF16(w: usize, v: usize, panel: usize, rows: i32, n: usize): void {
  oneNarrow(PACK_BF16, w, v, panel, rows, n);
}

function oneF32(w: usize, v: usize, panel: usize, rows: i32, n: usize): void {
  const columns = arg(2);
  const zero = startOfSum();
  let x = arg(4) + n * columns * 4;
  let pa = zero;
  let pb = zero;
  let qa = zero;
  let qb = zero;
  for (const end = x + columns * 4; x < end; x += 4, w += 32, v += 32) {
    const xs = v128.load32_splat(x);
    pa = madd(v128.load(w), xs, pa);
    pb = madd(v128.load(w, 16), xs, pb);
    qa = madd(v128.load(v), xs, qa);
    qb = madd(v128.load(v, 16), xs, qb);
  }
  storeEight(pa, pb, yAt(panel, n), biasAt(panel), rows);
  if (rows > 8) storeEight(qa, qb, yAt(panel + 1, n), biasAt(panel + 1), rows - 8);
}

/** Two f32 panels × 4 activation rows, two columns a turn. */
function four(w: usize, v: usize, panel: usize, rows: i32, n: usize): void {
  const columns = arg(2);
  const zero = startOfSum();
  let x0 = arg(4) + n * columns * 4;
  let x1 = x0 + columns * 4;
  let x2 = x1 + columns * 4;
  let x3 = x2 + columns * 4;
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
  for (const end = x0 + (columns & ~1) * 4; x0 < end; ) {
    let wa = v128.load(w);
    let wb = v128.load(w, 16);
    let va = v128.load(v);
    let vb = v128.load(v, 16);
    let xs = v128.load32_splat(x0);
    p0a = madd(wa, xs, p0a);
    p0b = madd(wb, xs, p0b);
    q0a = madd(va, xs, q0a);
    q0b = madd(vb, xs, q0b);
    xs = v128.load32_splat(x1);
    p1a = madd(wa, xs, p1a);
    p1b = madd(wb, xs, p1b);
    q1a = madd(va, xs, q1a);
    q1b = madd(vb, xs, q1b);
    xs = v128.load32_splat(x2);
    p2a = madd(wa, xs, p2a);
    p2b = madd(wb, xs, p2b);
    q2a = madd(va, xs, q2a);
    q2b = madd(vb, xs, q2b);
    xs = v128.load32_splat(x3);
    p3a = madd(wa, xs, p3a);
    p3b = madd(wb, xs, p3b);
    q3a = madd(va, xs, q3a);
    q3b = madd(vb, xs, q3b);
    wa = v128.load(w, 32);
    wb = v128.load(w, 48);
    va = v128.load(v, 32);
    vb = v128.load(v, 48);
    xs = v128.load32_splat(x0, 4);
    p0a = madd(wa, xs, p0a);
    p0b = madd(wb, xs, p0b);
    q0a = madd(va, xs, q0a);
    q0b = madd(vb, xs, q0b);
    xs = v128.load32_splat(x1, 4);
    p1a = madd(wa, xs, p1a);
    p1b = madd(wb, xs, p1b);
    q1a = madd(va, xs, q1a);
    q1b = madd(vb, xs, q1b);
    xs = v128.load32_splat(x2, 4);
    p2a = madd(wa, xs, p2a);
    p2b = madd(wb, xs, p2b);
    q2a = madd(va, xs, q2a);
    q2b = madd(vb, xs, q2b);
    xs = v128.load32_splat(x3, 4);
    p3a = madd(wa, xs, p3a);
    p3b = madd(wb, xs, p3b);
    q3a = madd(va, xs, q3a);
    q3b = madd(vb, xs, q3b);
    w += 64;
    v += 64;
    x0 += 8;
    x1 += 8;
    x2 += 8;
    x3 += 8;
  }
  if (columns & 1) {
    let wa = v128.load(w);
    let wb = v128.load(w, 16);
    let va = v128.load(v);
    let vb = v128.load(v, 16);
    let xs = v128.load32_splat(x0);
    p0a = madd(wa, xs, p0a);
    p0b = madd(wb, xs, p0b);
    q0a = madd(va, xs, q0a);
    q0b = madd(vb, xs, q0b);
    xs = v128.load32_splat(x1);
    p1a = madd(wa, xs, p1a);
    p1b = madd(wb, xs, p1b);
    q1a = madd(va, xs, q1a);
    q1b = madd(vb, xs, q1b);
    xs = v128.load32_splat(x2);
    p2a = madd(wa, xs, p2a);
    p2b = madd(wb, xs, p2b);
    q2a = madd(va, xs, q2a);
    q2b = madd(vb, xs, q2b);
    xs = v128.load32_splat(x3);
    p3a = madd(wa, xs, p3a);
    p3b = madd(wb, xs, p3b);
    q3a = madd(va, xs, q3a);
    q3b = madd(vb, xs, q3b);
  }
  storeEight(p0a, p0b, yAt(panel, n), biasAt(panel), rows);
  if (rows > 8) storeEight(q0a, q0b, yAt(panel + 1, n), biasAt(panel + 1), rows - 8);
  storeEight(p1a, p1b, yAt(panel, n + 1), biasAt(panel), rows);
  if (rows > 8) storeEight(q1a, q1b, yAt(panel + 1, n + 1), biasAt(panel + 1), rows - 8);
  storeEight(p2a, p2b, yAt(panel, n + 2), biasAt(panel), rows);
  if (rows > 8) storeEight(q2a, q2b, yAt(panel + 1, n + 2), biasAt(panel + 1), rows - 8);
  storeEight(p3a, p3b, yAt(panel, n + 3), biasAt(panel), rows);
  if (rows > 8) storeEight(q3a, q3b, yAt(panel + 1, n + 3), biasAt(panel + 1), rows - 8);
}
