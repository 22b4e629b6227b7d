// dTable[ids_n] += dy_n, in the order of n. Arguments: dTable, dy, ids (u32), N, D. One unit: two rows may have the same id.
import { arg } from '../simd.assembly';

export function embedBackward(): void {
  const D = arg(4);
  for (let n: usize = 0; n < arg(3); n++) {
    const target = arg(0) + <usize>load<u32>(arg(2) + n * 4) * D * 4;
    const source = arg(1) + n * D * 4;
    let d: usize = 0;
    for (; d + 4 <= D; d += 4) {
      v128.store(target + d * 4, f32x4.add(v128.load(target + d * 4), v128.load(source + d * 4)));
    }
    for (; d < D; d++) store<f32>(target + d * 4, load<f32>(target + d * 4) + load<f32>(source + d * 4));
  }
}
