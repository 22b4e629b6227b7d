// RMSNorm (reference.ts has the formula). The sum of squares is kept in 16 f32 partial sums, folded in a fixed order.
import { arg, argF32, sumLanes } from '../simd.assembly';

/** Arguments: y, x, gain, D, eps (f32). Unit = one row. */
export function rmsNorm(first: i32, last: i32): void {
  const D = arg(3);
  const gain = arg(2);
  const whole = D & ~15;
  for (let n: usize = first; n < <usize>last; n++) {
    const x = arg(1) + n * D * 4;
    const y = arg(0) + n * D * 4;
    let s0 = f32x4.splat(0),
      s1 = f32x4.splat(0),
      s2 = f32x4.splat(0),
      s3 = f32x4.splat(0);
    for (let i: usize = 0; i < whole; i += 16) {
      const at = x + i * 4;
      const a = v128.load(at);
      const b = v128.load(at, 16);
      const c = v128.load(at, 32);
      const d = v128.load(at, 48);
      s0 = f32x4.add(s0, f32x4.mul(a, a));
      s1 = f32x4.add(s1, f32x4.mul(b, b));
      s2 = f32x4.add(s2, f32x4.mul(c, c));
      s3 = f32x4.add(s3, f32x4.mul(d, d));
    }
    let sum = sumLanes(f32x4.add(f32x4.add(s0, s1), f32x4.add(s2, s3)));
    for (let i = whole; i < D; i++) {
      const a = load<f32>(x + i * 4);
      sum += a * a;
    }
    const r: f32 = 1 / sqrt<f32>(sum / <f32>D + argF32(4));
    const rs = f32x4.splat(r);
    for (let i: usize = 0; i < whole; i += 8) {
      const at = i * 4;
      const a = f32x4.mul(v128.load(gain + at), f32x4.mul(v128.load(x + at), rs));
      const b = f32x4.mul(v128.load(gain + at, 16), f32x4.mul(v128.load(x + at, 16), rs));
      v128.store(y + at, a);
      v128.store(y + at, b, 16);
    }
    for (let i = whole; i < D; i++) store<f32>(y + i * 4, load<f32>(gain + i * 4) * (load<f32>(x + i * 4) * r));
  }
}
