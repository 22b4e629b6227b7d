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
      v128.store(dx + at, f32x4.add(v128.load(dx + at), f32x4.mul(f, v128.load(dy + at))));
      v128.store(dx + at, f32x4.add(v128.load(dx + at, 16), f32x4.mul(f, v128.load(dy + at, 16))), 16);
    }
    for (; i < end; i++) store<f32>(dx + i * 4, load<f32>(dx + i * 4) + factor * load<f32>(dy + i * 4));
    return;
  }
  for (; i + 8 <= end; i += 8) {
    const at = i * 4;
    v128.store(dx + at, f32x4.mul(f, v128.load(dy + at)));
    v128.store(dx + at, f32x4.mul(f, v128.load(dy + at, 16)), 16);
  }
  for (; i < end; i++) store<f32>(dx + i * 4, factor * load<f32>(dy + i * 4));
}
