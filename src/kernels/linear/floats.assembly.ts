// `linear` over f32 activations and f32, f16 or bf16 weights: y_no = Σ_i w_oi · x_ni, column after column, one multiply-add each
// (fused in the relaxed build). A group (64 rows) at one activation row, as reading it is what takes the time; two panels × 4 activation
// rows, f16 and bf16 widened to f32 first. The order of operations of an element is the same in both. Written as pairs of v128.
import { arg, madd } from '../simd.assembly';
import { PACK_BF16, PACK_F16, PACK_F32 } from '../tasks';
import { columnBytes, FLOAT_GROUP, floatsAt, unliftAt } from './layout.assembly';
import { kept, scaleMask, startOfSum, storeEight } from './pieces.assembly';
import { unpackColumns } from './unpack-columns.assembly';

/**
 * Arguments: 0 kind, 1 packed w, 2 columns, 3 rows of w (O), 4 x, 5 N, 6 whether x may be scaled (mayScale), 7 y, 8 bias (0: none), 9 scratch, 10 scratch bytes a
 * thread (two panels as f32). Unit = one panel; threads take whole groups.
 */
export function linearFloats(first: i32, last: i32, thread: i32): void {
  const kind = <i32>arg(0);
  const columns = arg(2);
  const N = arg(5);
  const wide = arg(9) + <usize>thread * arg(10);
  const together = N & ~3;
  for (let panel: usize = first; panel < <usize>last; panel += FLOAT_GROUP) {
    const w = arg(1) + floatsAt(kind, columns, panel);
    for (let pair = panel; together > 0 && pair < min(panel + FLOAT_GROUP, <usize>last); pair += 2) {
      pairOfPanels(kind, w, wide, pair, together);
    }
    const isScaled = kind == PACK_F16 && arg(6) != 0 && isUniform(panel);
    for (let n = together; n < N; n++) {
      if (kind == PACK_F32) oneF32(w, panel, n);
      else if (isScaled) oneF16Scaled(w, panel, n);
      else if (kind == PACK_F16) oneF16(w, panel, n);
      else oneBF16(w, panel, n);
    }
  }
}

/** Two panels of the group at w, for the first `count` activation rows. */
function pairOfPanels(kind: i32, w: usize, wide: usize, panel: usize, count: usize): void {
  const columns = arg(2);
  const rows = <i32>arg(3) - <i32>panel * 8;
  let stride = columnBytes(PACK_F32);
  if (kind == PACK_F32) {
    wide = w + (panel % FLOAT_GROUP) * 32;
  } else {
    stride = 64;
    unpackColumns(kind, arg(1), panel, columns, 0, columns, wide, stride);
    unpackColumns(kind, arg(1), panel + 1, columns, 0, columns, wide + 32, stride);
  }
  for (let n: usize = 0; n < count; n += 4) four(wide, stride, panel, rows, n);
}

@inline
function yAt(panel: usize, n: usize): usize {
  return arg(7) + (n * arg(3) + panel * 8) * 4;
}
@inline
function biasAt(panel: usize): usize {
  return arg(8) == 0 ? 0 : arg(8) + panel * 32;
}

/** Four weights; `unlift` undoes the power of two that they come out with. */
@inline
function fromF16(bits: v128, mask: v128, unlift: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shl(bits, 13), mask), unlift);
}
@inline
function unliftOf(kind: i32, panel: usize, mask: v128): v128 {
  return kind == PACK_F16 ? v128.load32_splat(arg(1) + unliftAt(arg(2), panel)) : mask;
}

/**
 * The power of two of a group's f16 may go to the activations instead, where all panels have the same (isUniform) and no activation
 * overflows (mayScale). Every product is the same number then, at one multiplication a column for eight.
 */
function isUniform(panel: usize): bool {
  const unlift = arg(1) + unliftAt(arg(2), panel);
  for (let at = unlift; at < unlift + FLOAT_GROUP * 16; at += 16) {
    if (load<f32>(at) != load<f32>(unlift)) return false;
  }
  return true;
}

/** All of `count` activations are below 2¹⁵: 2¹⁵ · 2¹¹² is a number yet. */
export function mayScale(x: usize, count: usize): bool {
  const bound = kept(f32x4.splat(32768));
  const end = x + count * 4;
  let good = i32x4.eq(bound, bound);
  for (const whole = x + (count & ~15) * 4; x < whole; x += 64) {
    const first = v128.and(f32x4.lt(f32x4.abs(v128.load(x)), bound), f32x4.lt(f32x4.abs(v128.load(x, 16)), bound));
    const second = v128.and(f32x4.lt(f32x4.abs(v128.load(x, 32)), bound), f32x4.lt(f32x4.abs(v128.load(x, 48)), bound));
    good = v128.and(good, v128.and(first, second));
  }
  for (; x < end; x += 4) if (!(abs(load<f32>(x)) < 32768)) return false;
  return i32x4.all_true(good);
}

/** One group × one activation row. `isScaled`: see isUniform. */
@inline
function one(kind: i32, isScaled: bool, w: usize, panel: usize, n: usize): void {
  const columns = arg(2);
  const mask = scaleMask();
  const u0 = unliftOf(kind, panel, mask);
  const u1 = unliftOf(kind, panel + 1, mask);
  const u2 = unliftOf(kind, panel + 2, mask);
  const u3 = unliftOf(kind, panel + 3, mask);
  const u4 = unliftOf(kind, panel + 4, mask);
  const u5 = unliftOf(kind, panel + 5, mask);
  const u6 = unliftOf(kind, panel + 6, mask);
  const u7 = unliftOf(kind, panel + 7, mask);
  const zero = startOfSum();
  let x = arg(4) + n * columns * 4;
  let s0a = zero;
  let s0b = zero;
  let s1a = zero;
  let s1b = zero;
  let s2a = zero;
  let s2b = zero;
  let s3a = zero;
  let s3b = zero;
  let s4a = zero;
  let s4b = zero;
  let s5a = zero;
  let s5b = zero;
  let s6a = zero;
  let s6b = zero;
  let s7a = zero;
  let s7b = zero;
  for (const end = x + columns * 4; x < end; x += 4, w += columnBytes(kind)) {
    const xs = isScaled ? f32x4.mul(v128.load32_splat(x), u0) : v128.load32_splat(x);
    if (kind == PACK_F32) {
      s0a = madd(v128.load(w), xs, s0a);
      s0b = madd(v128.load(w, 16), xs, s0b);
      s1a = madd(v128.load(w, 32), xs, s1a);
      s1b = madd(v128.load(w, 48), xs, s1b);
      s2a = madd(v128.load(w, 64), xs, s2a);
      s2b = madd(v128.load(w, 80), xs, s2b);
      s3a = madd(v128.load(w, 96), xs, s3a);
      s3b = madd(v128.load(w, 112), xs, s3b);
      s4a = madd(v128.load(w, 128), xs, s4a);
      s4b = madd(v128.load(w, 144), xs, s4b);
      s5a = madd(v128.load(w, 160), xs, s5a);
      s5b = madd(v128.load(w, 176), xs, s5b);
      s6a = madd(v128.load(w, 192), xs, s6a);
      s6b = madd(v128.load(w, 208), xs, s6b);
      s7a = madd(v128.load(w, 224), xs, s7a);
      s7b = madd(v128.load(w, 240), xs, s7b);
    } else if (kind == PACK_BF16) {
      s0a = madd(i32x4.shl(v128.load16x4_u(w), 16), xs, s0a);
      s0b = madd(i32x4.shl(v128.load16x4_u(w, 8), 16), xs, s0b);
      s1a = madd(i32x4.shl(v128.load16x4_u(w, 16), 16), xs, s1a);
      s1b = madd(i32x4.shl(v128.load16x4_u(w, 24), 16), xs, s1b);
      s2a = madd(i32x4.shl(v128.load16x4_u(w, 32), 16), xs, s2a);
      s2b = madd(i32x4.shl(v128.load16x4_u(w, 40), 16), xs, s2b);
      s3a = madd(i32x4.shl(v128.load16x4_u(w, 48), 16), xs, s3a);
      s3b = madd(i32x4.shl(v128.load16x4_u(w, 56), 16), xs, s3b);
      s4a = madd(i32x4.shl(v128.load16x4_u(w, 64), 16), xs, s4a);
      s4b = madd(i32x4.shl(v128.load16x4_u(w, 72), 16), xs, s4b);
      s5a = madd(i32x4.shl(v128.load16x4_u(w, 80), 16), xs, s5a);
      s5b = madd(i32x4.shl(v128.load16x4_u(w, 88), 16), xs, s5b);
      s6a = madd(i32x4.shl(v128.load16x4_u(w, 96), 16), xs, s6a);
      s6b = madd(i32x4.shl(v128.load16x4_u(w, 104), 16), xs, s6b);
      s7a = madd(i32x4.shl(v128.load16x4_u(w, 112), 16), xs, s7a);
      s7b = madd(i32x4.shl(v128.load16x4_u(w, 120), 16), xs, s7b);
    } else if (isScaled) {
      s0a = madd(v128.and(i32x4.shl(v128.load16x4_s(w), 13), mask), xs, s0a);
      s0b = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 8), 13), mask), xs, s0b);
      s1a = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 16), 13), mask), xs, s1a);
      s1b = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 24), 13), mask), xs, s1b);
      s2a = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 32), 13), mask), xs, s2a);
      s2b = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 40), 13), mask), xs, s2b);
      s3a = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 48), 13), mask), xs, s3a);
      s3b = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 56), 13), mask), xs, s3b);
      s4a = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 64), 13), mask), xs, s4a);
      s4b = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 72), 13), mask), xs, s4b);
      s5a = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 80), 13), mask), xs, s5a);
      s5b = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 88), 13), mask), xs, s5b);
      s6a = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 96), 13), mask), xs, s6a);
      s6b = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 104), 13), mask), xs, s6b);
      s7a = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 112), 13), mask), xs, s7a);
      s7b = madd(v128.and(i32x4.shl(v128.load16x4_s(w, 120), 13), mask), xs, s7b);
    } else {
      s0a = madd(fromF16(v128.load16x4_s(w), mask, u0), xs, s0a);
      s0b = madd(fromF16(v128.load16x4_s(w, 8), mask, u0), xs, s0b);
      s1a = madd(fromF16(v128.load16x4_s(w, 16), mask, u1), xs, s1a);
      s1b = madd(fromF16(v128.load16x4_s(w, 24), mask, u1), xs, s1b);
      s2a = madd(fromF16(v128.load16x4_s(w, 32), mask, u2), xs, s2a);
      s2b = madd(fromF16(v128.load16x4_s(w, 40), mask, u2), xs, s2b);
      s3a = madd(fromF16(v128.load16x4_s(w, 48), mask, u3), xs, s3a);
      s3b = madd(fromF16(v128.load16x4_s(w, 56), mask, u3), xs, s3b);
      s4a = madd(fromF16(v128.load16x4_s(w, 64), mask, u4), xs, s4a);
      s4b = madd(fromF16(v128.load16x4_s(w, 72), mask, u4), xs, s4b);
      s5a = madd(fromF16(v128.load16x4_s(w, 80), mask, u5), xs, s5a);
      s5b = madd(fromF16(v128.load16x4_s(w, 88), mask, u5), xs, s5b);
      s6a = madd(fromF16(v128.load16x4_s(w, 96), mask, u6), xs, s6a);
      s6b = madd(fromF16(v128.load16x4_s(w, 104), mask, u6), xs, s6b);
      s7a = madd(fromF16(v128.load16x4_s(w, 112), mask, u7), xs, s7a);
      s7b = madd(fromF16(v128.load16x4_s(w, 120), mask, u7), xs, s7b);
    }
  }
  const rows = <i32>arg(3) - <i32>panel * 8;
  storeEight(s0a, s0b, yAt(panel, n), biasAt(panel), rows);
  if (rows > 8) storeEight(s1a, s1b, yAt(panel + 1, n), biasAt(panel + 1), rows - 8);
  if (rows > 16) storeEight(s2a, s2b, yAt(panel + 2, n), biasAt(panel + 2), rows - 16);
  if (rows > 24) storeEight(s3a, s3b, yAt(panel + 3, n), biasAt(panel + 3), rows - 24);
  if (rows > 32) storeEight(s4a, s4b, yAt(panel + 4, n), biasAt(panel + 4), rows - 32);
  if (rows > 40) storeEight(s5a, s5b, yAt(panel + 5, n), biasAt(panel + 5), rows - 40);
  if (rows > 48) storeEight(s6a, s6b, yAt(panel + 6, n), biasAt(panel + 6), rows - 48);
  if (rows > 56) storeEight(s7a, s7b, yAt(panel + 7, n), biasAt(panel + 7), rows - 56);
}
function oneF16(w: usize, panel: usize, n: usize): void {
  one(PACK_F16, false, w, panel, n);
}
function oneF16Scaled(w: usize, panel: usize, n: usize): void {
  one(PACK_F16, true, w, panel, n);
}
function oneBF16(w: usize, panel: usize, n: usize): void {
  one(PACK_BF16, false, w, panel, n);
}
function oneF32(w: usize, panel: usize, n: usize): void {
  one(PACK_F32, false, w, panel, n);
}

/** Sixteen neighbouring rows of f32, `stride` bytes from column to column × 4 activation rows, two columns a turn. */
function four(w: usize, stride: usize, panel: usize, rows: i32, n: usize): void {
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
    let va = v128.load(w, 32);
    let vb = v128.load(w, 48);
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
    w += stride;
    wa = v128.load(w);
    wb = v128.load(w, 16);
    va = v128.load(w, 32);
    vb = v128.load(w, 48);
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
    w += stride;
    x0 += 8;
    x1 += 8;
    x2 += 8;
    x3 += 8;
  }
  if (columns & 1) {
    let wa = v128.load(w);
    let wb = v128.load(w, 16);
    let va = v128.load(w, 32);
    let vb = v128.load(w, 48);
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
