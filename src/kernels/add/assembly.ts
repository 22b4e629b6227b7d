// The residual connection (reference.ts).
import { arg } from '../simd.assembly';

/** Numbers a unit of element-wise tasks covers. */
const UNIT_FLOATS: usize = 1024;

/** Arguments: z, x, y, count. Unit = 1024 numbers. */
export function add(first: i32, last: i32): void {
  const end = min(arg(3), <usize>last * UNIT_FLOATS);
  let i: usize = <usize>first * UNIT_FLOATS;
  const z = arg(0);
  const x = arg(1);
  const y = arg(2);
  for (; i + 8 <= end; i += 8) {
    const at = i * 4;
    const a = f32x4.add(v128.load(x + at), v128.load(y + at));
    const b = f32x4.add(v128.load(x + at, 16), v128.load(y + at, 16));
    v128.store(z + at, a);
    v128.store(z + at, b, 16);
  }
  for (; i < end; i++) store<f32>(z + i * 4, load<f32>(x + i * 4) + load<f32>(y + i * 4));
}
