// dx (+)= factor · dy. Arguments: dx, dy, count, factor, add. Unit = CHUNK elements.
import { arg, argF32 } from '../simd.assembly';
import { CHUNK } from '../training-tasks';

export function accumulate(first: i32, last: i32): void {
  const end = min<usize>(arg(2), <usize>last * CHUNK);
  const dx = arg(0), dy = arg(1);
  const factor = argF32(3);
  const f = f32x4.splat(factor);
  let i: usize = <usize>first * CHUNK;
  if (arg(4)) {
    for (; i + 8 <= end; i += 8) {
      const at = i * 4;
      const a = f32x4.add(v128.load(dx + at), f32x4.mul(f, v128.load(dy + at)));
      const b = f32x4.add(v128.load(dx + at, 16), f32x4.mul(f, v128.load(dy + at, 16)));
      v128.store(dx + at, a);
      v128.store(dx + at, b, 16);
    }
    for (; i < end; i++) store<f32>(dx + i * 4, load<f32>(dx + i * 4) + factor * load<f32>(dy + i * 4));
    return;
  }
  for (; i + 8 <= end; i += 8) {
    const at = i * 4;
    const a = f32x4.mul(f, v128.load(dy + at)), b = f32x4.mul(f, v128.load(dy + at, 16));
    v128.store(dx + at, a);
    v128.store(dx + at, b, 16);
  }
  for (; i < end; i++) store<f32>(dx + i * 4, factor * load<f32>(dy + i * 4));
}

/** y_no += bias_o. Arguments: y, bias, O. Unit = one row. */
export function addBias(first: i32, last: i32): void {
  const O = arg(2);
  for (let n: usize = first; n < <usize>last; n++) {
    const y = arg(0) + n * O * 4;
    let o: usize = 0;
    for (; o + 4 <= O; o += 4) v128.store(y + o * 4, f32x4.add(v128.load(y + o * 4), v128.load(arg(1) + o * 4)));
    for (; o < O; o++) store<f32>(y + o * 4, load<f32>(y + o * 4) + load<f32>(arg(1) + o * 4));
  }
}
