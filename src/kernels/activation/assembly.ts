// ReLU, GELU and GEGLU with their gradients, for the lab (formulas: reference.ts, backward.reference.ts). Unit = CHUNK elements;
// buffers may be read and written to a multiple of 8.
import { arg, argF32, exp4, lnTwoHigh, lnTwoLow, one, tanh4 } from '../simd.assembly';
import { ACTIVATION_GELU, ACTIVATION_GELU_TANH, ACTIVATION_RELU, CHUNK } from '../training-tasks';

const NUMBERS: usize = memory.data<f32>([
  0.7071067811865476, 0.5, -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587,
  -0.82215223, 0.17087277, 0.3989422804014327, 1.5957691216057308, 0.044715, 0.134145, 2,
]);
// @ts-expect-error: decorator
@inline
function number(i: usize): v128 {
  return v128.load32_splat(NUMBERS + i * 4);
}

/**
 * Φ(x) = erfc(−x / √2) / 2 by a Chebyshev fit of erfc, to 1.2e-7 relative in either tail.
 * Source: Press et al., Numerical Recipes §6.2 (erfcc).
 */
// @ts-expect-error: decorator
@inline
function normal(x: v128): v128 {
  const z = f32x4.abs(f32x4.mul(x, number(0)));
  const t = f32x4.div(one(), f32x4.add(one(), f32x4.mul(z, number(1))));
  let p = f32x4.add(f32x4.mul(number(11), t), number(10));
  p = f32x4.add(f32x4.mul(p, t), number(9));
  p = f32x4.add(f32x4.mul(p, t), number(8));
  p = f32x4.add(f32x4.mul(p, t), number(7));
  p = f32x4.add(f32x4.mul(p, t), number(6));
  p = f32x4.add(f32x4.mul(p, t), number(5));
  p = f32x4.add(f32x4.mul(p, t), number(4));
  p = f32x4.add(f32x4.mul(p, t), number(3));
  p = f32x4.add(f32x4.mul(p, t), number(2));
  const tail = f32x4.mul(f32x4.mul(number(1), t), exp4(f32x4.sub(p, f32x4.mul(z, z)), lnTwoHigh(), lnTwoLow()));
  const isBelow = f32x4.lt(x, f32x4.sub(one(), one()));
  return v128.bitselect(tail, f32x4.sub(one(), tail), isBelow);
}

/** σ(2u), u = √(2/π) · (x + 0.044715 x³): the share of x that the tanh form lets through. */
// @ts-expect-error: decorator
@inline
function normalTanh(x: v128): v128 {
  const cube = f32x4.mul(f32x4.mul(number(14), x), f32x4.mul(x, x));
  return f32x4.div(one(), f32x4.add(one(), exp4(f32x4.neg(f32x4.mul(number(13), f32x4.add(x, cube))), lnTwoHigh(), lnTwoLow())));
}

// @ts-expect-error: decorator
@inline
function value(kind: i32, x: v128): v128 {
  if (kind == ACTIVATION_RELU) return f32x4.pmax(x, f32x4.sub(one(), one()));
  if (kind == ACTIVATION_GELU) return f32x4.mul(x, normal(x));
  return f32x4.mul(x, normalTanh(x));
}

// @ts-expect-error: decorator
@inline
function slope(kind: i32, x: v128): v128 {
  if (kind == ACTIVATION_RELU) return v128.andnot(one(), f32x4.le(x, f32x4.sub(one(), one())));
  if (kind == ACTIVATION_GELU) {
    const density = f32x4.mul(number(12), exp4(f32x4.neg(f32x4.mul(f32x4.mul(x, x), number(1))), lnTwoHigh(), lnTwoLow()));
    return f32x4.add(normal(x), f32x4.mul(x, density));
  }
  // s + x · s (1 − s) · 2u′
  const s = normalTanh(x);
  const rise = f32x4.mul(number(13), f32x4.add(one(), f32x4.mul(number(15), f32x4.mul(x, x))));
  return f32x4.add(s, f32x4.mul(f32x4.mul(x, rise), f32x4.mul(s, f32x4.sub(one(), s))));
}

/** Arguments: y, x, up (0: none), count, kind. y = f(x), or f(x) · up. */
export function activationForward(first: i32, last: i32): void {
  if (arg(4) == ACTIVATION_RELU) forward(ACTIVATION_RELU, first, last);
  else if (arg(4) == ACTIVATION_GELU) forward(ACTIVATION_GELU, first, last);
  else forward(ACTIVATION_GELU_TANH, first, last);
}

// @ts-expect-error: decorator
@inline
function forward(kind: i32, first: i32, last: i32): void {
  const end = min<usize>(arg(3), <usize>last * CHUNK) * 4;
  const y = arg(0), x = arg(1), up = arg(2);
  for (let i: usize = <usize>first * CHUNK * 4; i < end; i += 32) {
    let y0 = value(kind, v128.load(x + i)), y1 = value(kind, v128.load(x + i, 16));
    if (up) {
      y0 = f32x4.mul(y0, v128.load(up + i));
      y1 = f32x4.mul(y1, v128.load(up + i, 16));
    }
    v128.store(y + i, y0);
    v128.store(y + i, y1, 16);
  }
}

/** Arguments: dx, dUp (0: not wanted), dy, x, up (0: none), count, add to dx, add to dUp, kind. */
export function activationBackward(first: i32, last: i32): void {
  if (arg(8) == ACTIVATION_RELU) backward(ACTIVATION_RELU, first, last);
  else if (arg(8) == ACTIVATION_GELU) backward(ACTIVATION_GELU, first, last);
  else backward(ACTIVATION_GELU_TANH, first, last);
}

// @ts-expect-error: decorator
@inline
function backward(kind: i32, first: i32, last: i32): void {
  const end = min<usize>(arg(5), <usize>last * CHUNK) * 4;
  const dx = arg(0), dUp = arg(1), dy = arg(2), x = arg(3), up = arg(4);
  for (let i: usize = <usize>first * CHUNK * 4; i < end; i += 16) {
    const d = v128.load(dy + i);
    const g = v128.load(x + i);
    if (dx) {
      const own = f32x4.mul(up ? f32x4.mul(d, v128.load(up + i)) : d, slope(kind, g));
      v128.store(dx + i, arg(6) ? f32x4.add(own, v128.load(dx + i)) : own);
    }
    if (dUp) {
      const own = f32x4.mul(d, value(kind, g));
      v128.store(dUp + i, arg(7) ? f32x4.add(own, v128.load(dUp + i)) : own);
    }
  }
}

/** Arguments: y, x, count, cap (f32). y = cap · tanh(x / cap). */
export function softcap(first: i32, last: i32): void {
  const end = min<usize>(arg(2), <usize>last * CHUNK) * 4;
  const y = arg(0), x = arg(1);
  const cap = f32x4.splat(argF32(3));
  const high = lnTwoHigh(), low = lnTwoLow();
  for (let i: usize = <usize>first * CHUNK * 4; i < end; i += 32) {
    const y0 = f32x4.mul(cap, tanh4(f32x4.div(v128.load(x + i), cap), high, low));
    const y1 = f32x4.mul(cap, tanh4(f32x4.div(v128.load(x + i, 16), cap), high, low));
    v128.store(y + i, y0);
    v128.store(y + i, y1, 16);
  }
}

/** Arguments: dx, dy, y, count, cap (f32), add to dx. dx (+)= dy · (1 − (y / cap)²). */
export function softcapBackward(first: i32, last: i32): void {
  const end = min<usize>(arg(3), <usize>last * CHUNK) * 4;
  const dx = arg(0), dy = arg(1), y = arg(2);
  const cap = f32x4.splat(argF32(4));
  for (let i: usize = <usize>first * CHUNK * 4; i < end; i += 16) {
    const t = f32x4.div(v128.load(y + i), cap);
    const own = f32x4.mul(v128.load(dy + i), f32x4.sub(one(), f32x4.mul(t, t)));
    v128.store(dx + i, arg(5) ? f32x4.add(own, v128.load(dx + i)) : own);
  }
}
