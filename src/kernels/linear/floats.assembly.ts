// `linear` over f32 activations and f32, f16 or bf16 weights: y_no = Σ_i w_oi · x_ni, column after column, one multiply-add each
// (fused in the relaxed build). Two panels (16 rows) × 1 or 4 activation rows at a time; the order of operations of an element is
// the same in all of them.
import { arg, madd } from '../simd.assembly';
import { PACK_BF16, PACK_F16, PACK_F32 } from '../tasks';
import { panelBytes } from './layout.assembly';
import { storeEight } from './pieces.assembly';

/** Arguments: kind, packed w, columns, rows of w (O), x, N, (unused), y, bias (0: none). Unit = one panel. */
export function linearFloats(first: i32, last: i32): void {
  const kind = <i32>arg(0);
  const bytes = panelBytes(kind, arg(2));
  for (let panel: usize = first; panel < <usize>last; panel += 2) {
    const w = arg(1) + panel * bytes;
    const isPair = panel + 1 < <usize>last;
    if (kind == PACK_F32) rows(PACK_F32, w, isPair ? w + bytes : w, panel, isPair);
    else if (kind == PACK_F16) rows(PACK_F16, w, isPair ? w + bytes : w, panel, isPair);
    else rows(PACK_BF16, w, isPair ? w + bytes : w, panel, isPair);
  }
}

@inline
function rows(kind: i32, w: usize, w2: usize, panel: usize, isPair: bool): void {
  const N = arg(5);
  let n: usize = 0;
  for (; n + 4 <= N; n += 4) four(kind, w, w2, panel, isPair, n);
  for (; n < N; n++) one(kind, w, w2, panel, isPair, n);
}

/** Four weights of one column at `at` bytes into it, as f32; f16 comes out times 2^(lift − 112). */
@inline
function weights(kind: i32, w: usize, second: bool, unlift: v128): v128 {
  if (kind == PACK_F32) return second ? v128.load(w, 16) : v128.load(w);
  if (kind == PACK_BF16) return i32x4.shl(second ? v128.load16x4_u(w, 8) : v128.load16x4_u(w), 16);
  const wide = second ? v128.load16x4_s(w, 8) : v128.load16x4_s(w);
  return f32x4.mul(v128.and(i32x4.shl(wide, 13), i32x4.splat(<i32>0x8fffe000)), unlift);
}

@inline
function columnBytes(kind: i32): usize {
  return kind == PACK_F32 ? 32 : 16;
}

@inline
function unliftOf(kind: i32, w: usize, columns: usize): v128 {
  return kind == PACK_F16 ? v128.load32_splat(w + columns * 16) : f32x4.splat(1);
}

@inline
function result(acc0: v128, acc1: v128, panel: usize, n: usize): void {
  const O = arg(3);
  storeEight(
    acc0,
    acc1,
    arg(7) + (n * O + panel * 8) * 4,
    arg(8) == 0 ? 0 : arg(8) + panel * 32,
    <i32>O - <i32>panel * 8,
  );
}

@inline
function one(kind: i32, w: usize, w2: usize, panel: usize, isPair: bool, n: usize): void {
  const columns = arg(2);
  const u = unliftOf(kind, w, columns);
  const u2 = unliftOf(kind, w2, columns);
  let x = arg(4) + n * columns * 4;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  for (let i: usize = 0; i < columns; i++, x += 4) {
    const xs = v128.load32_splat(x);
    a0 = madd(weights(kind, w, false, u), xs, a0);
    a1 = madd(weights(kind, w, true, u), xs, a1);
    b0 = madd(weights(kind, w2, false, u2), xs, b0);
    b1 = madd(weights(kind, w2, true, u2), xs, b1);
    w += columnBytes(kind);
    w2 += columnBytes(kind);
  }
  result(a0, a1, panel, n);
  if (isPair) result(b0, b1, panel + 1, n);
}

@inline
function four(kind: i32, w: usize, w2: usize, panel: usize, isPair: bool, n: usize): void {
  const columns = arg(2);
  const u = unliftOf(kind, w, columns);
  const u2 = unliftOf(kind, w2, columns);
  let x0 = arg(4) + n * columns * 4;
  const x1 = columns * 4;
  let a00 = f32x4.splat(0), a01 = f32x4.splat(0), a10 = f32x4.splat(0), a11 = f32x4.splat(0);
  let a20 = f32x4.splat(0), a21 = f32x4.splat(0), a30 = f32x4.splat(0), a31 = f32x4.splat(0);
  let b00 = f32x4.splat(0), b01 = f32x4.splat(0), b10 = f32x4.splat(0), b11 = f32x4.splat(0);
  let b20 = f32x4.splat(0), b21 = f32x4.splat(0), b30 = f32x4.splat(0), b31 = f32x4.splat(0);
  for (let i: usize = 0; i < columns; i++, x0 += 4) {
    const p0 = weights(kind, w, false, u);
    const p1 = weights(kind, w, true, u);
    const q0 = weights(kind, w2, false, u2);
    const q1 = weights(kind, w2, true, u2);
    let xs = v128.load32_splat(x0);
    a00 = madd(p0, xs, a00);
    a01 = madd(p1, xs, a01);
    b00 = madd(q0, xs, b00);
    b01 = madd(q1, xs, b01);
    xs = v128.load32_splat(x0 + x1);
    a10 = madd(p0, xs, a10);
    a11 = madd(p1, xs, a11);
    b10 = madd(q0, xs, b10);
    b11 = madd(q1, xs, b11);
    xs = v128.load32_splat(x0 + 2 * x1);
    a20 = madd(p0, xs, a20);
    a21 = madd(p1, xs, a21);
    b20 = madd(q0, xs, b20);
    b21 = madd(q1, xs, b21);
    xs = v128.load32_splat(x0 + 3 * x1);
    a30 = madd(p0, xs, a30);
    a31 = madd(p1, xs, a31);
    b30 = madd(q0, xs, b30);
    b31 = madd(q1, xs, b31);
    w += columnBytes(kind);
    w2 += columnBytes(kind);
  }
  result(a00, a01, panel, n);
  result(a10, a11, panel, n + 1);
  result(a20, a21, panel, n + 2);
  result(a30, a31, panel, n + 3);
  if (isPair) {
    result(b00, b01, panel + 1, n);
    result(b10, b11, panel + 1, n + 1);
    result(b20, b21, panel + 1, n + 2);
    result(b30, b31, panel + 1, n + 3);
  }
}
