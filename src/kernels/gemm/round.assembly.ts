// f32 → bf16, to the nearest, ties to even. Arguments: y (16 bits each), x, count. Unit = ROUND_UNIT elements.
// A NaN stays one, but for payloads of all ones, which no arithmetic makes.
import { arg } from '../simd.assembly';
import { ROUND_UNIT } from '../tasks';

/** The rounded upper half of each lane, as a signed number. */
// @ts-expect-error: decorator
@inline
export function upper(x: v128): v128 {
  const odd = v128.and(i32x4.shr_u(x, 16), i32x4.splat(1));
  return i32x4.shr_s(i32x4.add(i32x4.add(x, i32x4.splat(0x7fff)), odd), 16);
}

export function roundBf16(first: i32, last: i32): void {
  const end = min<usize>(arg(2), <usize>last * ROUND_UNIT);
  const y = arg(0), x = arg(1);
  let i: usize = <usize>first * ROUND_UNIT;
  for (; i + 16 <= end; i += 16) {
    const from = x + i * 4;
    const to = y + i * 2;
    const a = i16x8.narrow_i32x4_s(upper(v128.load(from)), upper(v128.load(from, 16)));
    const b = i16x8.narrow_i32x4_s(upper(v128.load(from, 32)), upper(v128.load(from, 48)));
    v128.store(to, a);
    v128.store(to, b, 16);
  }
  for (; i < end; i++) store<u16>(y + i * 2, <u16>i32x4.extract_lane(upper(v128.load32_splat(x + i * 4)), 0));
}
