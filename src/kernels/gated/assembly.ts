// SwiGLU (reference.ts has the formula): y = gate / (1 + exp(−gate)) · up.
import { arg, exp4, lnTwoHigh, lnTwoLow, one } from '../simd.assembly';

const UNIT_FLOATS: usize = 1024;

/** Arguments: y, gate, up, count. Unit = 1024 numbers. */
export function swiglu(first: i32, last: i32): void {
  const end = min(arg(3), <usize>last * UNIT_FLOATS);
  let i: usize = <usize>first * UNIT_FLOATS;
  const y = arg(0);
  const gate = arg(1);
  const up = arg(2);
  const high = lnTwoHigh();
  const low = lnTwoLow();
  for (; i + 8 <= end; i += 8) {
    const at = i * 4;
    const a = gated(v128.load(gate + at), v128.load(up + at), high, low);
    const b = gated(v128.load(gate + at, 16), v128.load(up + at, 16), high, low);
    v128.store(y + at, a);
    v128.store(y + at, b, 16);
  }
  for (; i < end; i++) {
    const at = i * 4;
    const lanes = gated(v128.load32_splat(gate + at), v128.load32_splat(up + at), high, low);
    store<f32>(y + at, f32x4.extract_lane(lanes, 0));
  }
}

@inline
function gated(gate: v128, up: v128, high: v128, low: v128): v128 {
  return f32x4.mul(f32x4.div(gate, f32x4.add(one(), exp4(f32x4.neg(gate), high, low))), up);
}
