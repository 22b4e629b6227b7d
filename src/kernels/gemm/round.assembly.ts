// f32 → bf16, to the nearest, ties to even; NaN stays NaN. Arguments: y (16 bits each), x, count. Unit = CHUNK elements.
import { arg } from '../simd.assembly';
import { CHUNK } from '../training-tasks';

/** The rounded upper half of each lane, in its lower 16 bits. */
// @ts-expect-error: decorator
@inline
function upper(x: v128): v128 {
  const half = i32x4.shr_u(x, 16);
  const rounded = i32x4.shr_u(
    i32x4.add(x, i32x4.add(i32x4.splat(0x7fff), v128.and(half, i32x4.splat(1)))),
    16,
  );
  return v128.bitselect(v128.or(half, i32x4.splat(0x40)), rounded, f32x4.ne(x, x));
}

export function roundBf16(first: i32, last: i32): void {
  const end = min<usize>(arg(2), <usize>last * CHUNK);
  const y = arg(0), x = arg(1);
  let i: usize = <usize>first * CHUNK;
  for (; i + 8 <= end; i += 8) {
    const low = upper(v128.load(x + i * 4));
    const high = upper(v128.load(x + i * 4, 16));
    v128.store(y + i * 2, i8x16.shuffle(low, high, 0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29));
  }
  for (; i < end; i++) store<u16>(y + i * 2, <u16>i32x4.extract_lane(upper(v128.load32_splat(x + i * 4)), 0));
}
