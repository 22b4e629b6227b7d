// AdamW (formula: reference.ts), and the sums that gradient clipping needs.
import { arg, argF32 } from '../simd.assembly';
import { CHUNK, SUM_CHUNK } from '../training-tasks';

/**
 * Arguments: p, g, m, v, count, then f32: 1 − lr·decay, lr / (1 − β1ᵗ), β1, 1 − β1, β2, 1 − β2, 1 / √(1 − β2ᵗ), eps, gradientScale.
 * Unit = CHUNK elements; buffers may be read and written to a multiple of 4.
 */
export function adamW(first: i32, last: i32): void {
  const end = min<usize>(arg(4), <usize>last * CHUNK);
  const keep = argF32(5),
    rate = argF32(6),
    beta1 = argF32(7),
    rest1 = argF32(8),
    beta2 = argF32(9),
    rest2 = argF32(10);
  const correction = argF32(11),
    eps = argF32(12),
    scale = argF32(13);
  let i: usize = <usize>first * CHUNK;
  for (; i + 4 <= end; i += 4) {
    const at = i * 4;
    const g = f32x4.mul(v128.load(arg(1) + at), f32x4.splat(scale));
    const m = f32x4.add(f32x4.mul(f32x4.splat(beta1), v128.load(arg(2) + at)), f32x4.mul(f32x4.splat(rest1), g));
    const squares = f32x4.mul(f32x4.mul(f32x4.splat(rest2), g), g);
    const v = f32x4.add(f32x4.mul(f32x4.splat(beta2), v128.load(arg(3) + at)), squares);
    v128.store(arg(2) + at, m);
    v128.store(arg(3) + at, v);
    const root = f32x4.add(f32x4.mul(f32x4.sqrt(v), f32x4.splat(correction)), f32x4.splat(eps));
    const step = f32x4.div(f32x4.mul(f32x4.splat(rate), m), root);
    v128.store(arg(0) + at, f32x4.sub(f32x4.mul(v128.load(arg(0) + at), f32x4.splat(keep)), step));
  }
  for (; i < end; i++) {
    const at = i * 4;
    const g = load<f32>(arg(1) + at) * scale;
    const m = beta1 * load<f32>(arg(2) + at) + rest1 * g;
    const v = beta2 * load<f32>(arg(3) + at) + rest2 * g * g;
    store<f32>(arg(2) + at, m);
    store<f32>(arg(3) + at, v);
    const root = NativeMathf.sqrt(v) * correction + eps;
    store<f32>(arg(0) + at, load<f32>(arg(0) + at) * keep - (rate * m) / root);
  }
}

/** Arguments: x, count, sums (f64, one per unit). Unit = SUM_CHUNK elements, added in order. */
export function sumSquares(first: i32, last: i32): void {
  for (let unit: usize = first; unit < <usize>last; unit++) {
    const end = min<usize>(arg(1), (unit + 1) * SUM_CHUNK);
    let sum0 = f64x2.splat(0);
    let sum1 = f64x2.splat(0);
    let i = unit * SUM_CHUNK;
    for (; i + 4 <= end; i += 4) {
      const x = v128.load(arg(0) + i * 4);
      const low = f64x2.promote_low_f32x4(x);
      const high = f64x2.promote_low_f32x4(v128.shuffle<f32>(x, x, 2, 3, 2, 3));
      sum0 = f64x2.add(sum0, f64x2.mul(low, low));
      sum1 = f64x2.add(sum1, f64x2.mul(high, high));
    }
    const both = f64x2.add(sum0, sum1);
    let sum = f64x2.extract_lane(both, 0) + f64x2.extract_lane(both, 1);
    for (; i < end; i++) {
      const x = <f64>load<f32>(arg(0) + i * 4);
      sum += x * x;
    }
    store<f64>(arg(2) + unit * 8, sum);
  }
}
