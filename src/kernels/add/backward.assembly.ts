// dx (+)= factor · dy. Arguments: dx, dy, count, factor, add. Unit = CHUNK elements.
import { arg, argF32 } from '../simd.assembly';
import { CHUNK } from '../training-tasks';

export function accumulate(first: i32, last: i32): void {
  const end = min<usize>(arg(2), <usize>last * CHUNK);
  const factor = argF32(3);
  const add = arg(4) != 0;
  const f = f32x4.splat(factor);
  let i: usize = <usize>first * CHUNK;
  for (; i + 4 <= end; i += 4) {
    const own = f32x4.mul(f, v128.load(arg(1) + i * 4));
    v128.store(arg(0) + i * 4, add ? f32x4.add(v128.load(arg(0) + i * 4), own) : own);
  }
  for (; i < end; i++) {
    const own = factor * load<f32>(arg(1) + i * 4);
    store<f32>(arg(0) + i * 4, add ? load<f32>(arg(0) + i * 4) + own : own);
  }
}
