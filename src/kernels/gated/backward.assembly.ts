// The gradients of SwiGLU, silu(gate) · up (formulas: backward.reference.ts). Unit = CHUNK elements.
import { arg, exp4, lnTwoHigh, lnTwoLow, one } from '../simd.assembly';
import { CHUNK } from '../training-tasks';

// @ts-expect-error: decorator
@inline
function sigmoid(x: v128, high: v128, low: v128): v128 {
  return f32x4.div(one(), f32x4.add(one(), exp4(f32x4.neg(x), high, low)));
}

/**
 * Arguments: dGate, dUp (0: not wanted), dy, gate, up, count, add to dGate, add to dUp. Buffers may be read and written to a
 * multiple of 8.
 */
export function swigluBackward(first: i32, last: i32): void {
  const end = min<usize>(arg(5), <usize>last * CHUNK) * 4;
  const dGate = arg(0), dUp = arg(1), dy = arg(2), gate = arg(3), up = arg(4);
  const start = <usize>first * CHUNK * 4;
  // Constants that the body would load twice, which V8 does not join.
  const high = lnTwoHigh(), low = lnTwoLow(), ones = one();
  if (dGate != 0 && dUp != 0 && !arg(6) && !arg(7)) {
    for (let i = start; i < end; i += 32) {
      const g0 = v128.load(gate + i), g1 = v128.load(gate + i, 16);
      const s0 = sigmoid(g0, high, low), s1 = sigmoid(g1, high, low);
      const silu0 = f32x4.mul(g0, s0), silu1 = f32x4.mul(g1, s1);
      const d0 = v128.load(dy + i), d1 = v128.load(dy + i, 16);
      const own0 = f32x4.mul(f32x4.mul(d0, v128.load(up + i)), slope(s0, silu0, ones));
      const own1 = f32x4.mul(f32x4.mul(d1, v128.load(up + i, 16)), slope(s1, silu1, ones));
      v128.store(dGate + i, own0);
      v128.store(dGate + i, own1, 16);
      v128.store(dUp + i, f32x4.mul(d0, silu0));
      v128.store(dUp + i, f32x4.mul(d1, silu1), 16);
    }
    return;
  }
  for (let i = start; i < end; i += 16) {
    const g = v128.load(gate + i);
    const d = v128.load(dy + i);
    const s = sigmoid(g, high, low);
    const silu = f32x4.mul(g, s);
    if (dGate) {
      const own = f32x4.mul(f32x4.mul(d, v128.load(up + i)), slope(s, silu, ones));
      v128.store(dGate + i, arg(6) ? f32x4.add(own, v128.load(dGate + i)) : own);
    }
    if (dUp) {
      const own = f32x4.mul(d, silu);
      v128.store(dUp + i, arg(7) ? f32x4.add(own, v128.load(dUp + i)) : own);
    }
  }
}

/** σ · (1 + g · (1 − σ)) = σ + silu · (1 − σ) */
// @ts-expect-error: decorator
@inline
function slope(s: v128, silu: v128, ones: v128): v128 {
  return f32x4.add(s, f32x4.mul(silu, f32x4.sub(ones, s)));
}
