// The gradient of the rotation: rotate back by the same angle (formula: backward.reference.ts). Unit = one row.
import { arg } from '../simd.assembly';

/** Arguments: dx, dy, rotation, Q, E, add. */
export function ropeBackward(first: i32, last: i32): void {
  const Q = arg(3);
  const E = arg(4);
  const add = arg(5) != 0;
  for (let n: usize = first; n < <usize>last; n++) {
    const rotation = arg(2) + n * E * 4;
    for (let h: usize = 0; h < Q; h += E) head(arg(0) + (n * Q + h) * 4, arg(1) + (n * Q + h) * 4, rotation, E, add);
  }
}

function head(dx: usize, dy: usize, rotation: usize, E: usize, add: bool): void {
  const bytes = E * 4;
  let at: usize = 0;
  for (; at + 16 <= bytes; at += 16) {
    const a = v128.load(dy + at);
    const r = v128.load(rotation + at);
    const cos = v128.shuffle<f32>(r, r, 0, 0, 2, 2);
    const sin = v128.shuffle<f32>(r, r, 1, 1, 3, 3);
    const crossed = f32x4.mul(v128.shuffle<f32>(a, a, 1, 0, 3, 2), sin);
    // even lanes add, odd lanes subtract
    const own = f32x4.add(f32x4.mul(a, cos), v128.xor(crossed, i64x2.splat(<i64>0x8000000000000000)));
    v128.store(dx + at, add ? f32x4.add(v128.load(dx + at), own) : own);
  }
  for (; at < bytes; at += 8) {
    const cos = load<f32>(rotation + at);
    const sin = load<f32>(rotation + at, 4);
    const a = load<f32>(dy + at);
    const b = load<f32>(dy + at, 4);
    const da = a * cos + b * sin;
    const db = b * cos - a * sin;
    store<f32>(dx + at, add ? load<f32>(dx + at) + da : da);
    store<f32>(dx + at, add ? load<f32>(dx + at, 4) + db : db, 4);
  }
}
