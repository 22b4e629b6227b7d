// The gradient of the rotation: rotate back by the same angle (formula: backward.reference.ts). Unit = one row.
import { arg } from '../simd.assembly';

/** Arguments: dx, dy, rotation, Q, E, add. */
export function ropeBackward(first: i32, last: i32): void {
  const Q = arg(3);
  const E = arg(4);
  const add = arg(5) != 0;
  for (let n: usize = first; n < <usize>last; n++) {
    let dx = arg(0) + n * Q * 4;
    let dy = arg(1) + n * Q * 4;
    const rotation = arg(2) + n * E * 4;
    for (let head: usize = 0; head < Q; head += E) {
      for (let e: usize = 0; e < E * 4; e += 8, dx += 8, dy += 8) {
        const cos = load<f32>(rotation + e);
        const sin = load<f32>(rotation + e, 4);
        const a = load<f32>(dy);
        const b = load<f32>(dy, 4);
        const da = a * cos + b * sin;
        const db = b * cos - a * sin;
        store<f32>(dx, add ? load<f32>(dx) + da : da);
        store<f32>(dx, add ? load<f32>(dx, 4) + db : db, 4);
      }
    }
  }
}
