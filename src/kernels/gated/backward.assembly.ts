// SwiGLU for training: silu(gate) · up and its gradients (formulas: reference.ts, backward.reference.ts). Unit = CHUNK elements.
import { arg, exp4 } from '../simd.assembly';
import { CHUNK } from '../training-tasks';

// @ts-expect-error: decorator
@inline
function sigmoid(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}

/** Arguments: dGate, dUp (0: not wanted), dy, gate, up, count, add to dGate, add to dUp. Buffers may be read to a multiple of 4. */
export function swigluBackward(first: i32, last: i32): void {
  const end = min<usize>(arg(5), <usize>last * CHUNK) * 4;
  const dGate = arg(0), dUp = arg(1), dy = arg(2), gate = arg(3), up = arg(4);
  for (let i: usize = <usize>first * CHUNK * 4; i < end; i += 16) {
    const g = v128.load(gate + i);
    const d = v128.load(dy + i);
    const s = sigmoid(g);
    const silu = f32x4.mul(g, s);
    if (dGate) {
      // σ · (1 + g · (1 − σ)) = σ + silu · (1 − σ)
      const slope = f32x4.add(s, f32x4.mul(silu, f32x4.sub(f32x4.splat(1), s)));
      const own = f32x4.mul(f32x4.mul(d, v128.load(up + i)), slope);
      v128.store(dGate + i, arg(6) ? f32x4.add(own, v128.load(dGate + i)) : own);
    }
    if (dUp) {
      const own = f32x4.mul(d, silu);
      v128.store(dUp + i, arg(7) ? f32x4.add(own, v128.load(dUp + i)) : own);
    }
  }
}

/** Arguments: y, gate, up, count. */
export function swigluForward(first: i32, last: i32): void {
  const end = min<usize>(arg(3), <usize>last * CHUNK) * 4;
  for (let i: usize = <usize>first * CHUNK * 4; i < end; i += 16) {
    const g = v128.load(arg(1) + i);
    v128.store(arg(0) + i, f32x4.mul(f32x4.mul(g, sigmoid(g)), v128.load(arg(2) + i)));
  }
}
