// RoPE on neighbouring pairs (reference.ts has the formula).
import { arg } from '../simd.assembly';

/** Arguments: y, x, rotation (cos, sin of each pair, E numbers a row), row size Q, E. Unit = one row. */
export function rope(first: i32, last: i32): void {
  const Q = arg(3);
  const E = arg(4);
  for (let n: usize = first; n < <usize>last; n++) {
    for (let h: usize = 0; h < Q; h += E) {
      const x = arg(1) + (n * Q + h) * 4;
      const y = arg(0) + (n * Q + h) * 4;
      const rotation = arg(2) + n * E * 4;
      let e: usize = 0;
      for (; e + 4 <= E; e += 4) {
        const at = e * 4;
        const a = v128.load(x + at);
        const r = v128.load(rotation + at);
        const cos = v128.shuffle<f32>(r, r, 0, 0, 2, 2);
        const sin = v128.shuffle<f32>(r, r, 1, 1, 3, 3);
        const crossed = f32x4.mul(v128.shuffle<f32>(a, a, 1, 0, 3, 2), sin);
        // even lanes subtract, odd lanes add
        const signed = v128.xor(crossed, i64x2.splat(0x80000000));
        v128.store(y + at, f32x4.add(f32x4.mul(a, cos), signed));
      }
      for (; e < E; e += 2) {
        const at = e * 4;
        const a = load<f32>(x + at);
        const b = load<f32>(x + at, 4);
        const cos = load<f32>(rotation + at);
        const sin = load<f32>(rotation + at, 4);
        store<f32>(y + at, a * cos + -(b * sin));
        store<f32>(y + at, b * cos + a * sin, 4);
      }
    }
  }
}
