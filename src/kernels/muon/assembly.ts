// target ← factor · target + other · source. Arguments: target, source, count, factor, other. Unit = CHUNK elements.
import { arg, argF32 } from '../simd.assembly';
import { CHUNK } from '../training-tasks';

export function blend(first: i32, last: i32): void {
  const end = min<usize>(arg(2), <usize>last * CHUNK);
  const target = arg(0), source = arg(1);
  const factor = argF32(3), other = argF32(4);
  const f = f32x4.splat(factor), o = f32x4.splat(other);
  let i: usize = <usize>first * CHUNK;
  for (; i + 8 <= end; i += 8) {
    const at = i * 4;
    const own0 = f32x4.mul(f, v128.load(target + at)), own1 = f32x4.mul(f, v128.load(target + at, 16));
    v128.store(target + at, f32x4.add(own0, f32x4.mul(o, v128.load(source + at))));
    v128.store(target + at, f32x4.add(own1, f32x4.mul(o, v128.load(source + at, 16))), 16);
  }
  for (; i < end; i++) {
    const at = i * 4;
    store<f32>(target + at, factor * load<f32>(target + at) + other * load<f32>(source + at));
  }
}
