// What all kernels share: arguments, half precision, exp, and the two relaxed-SIMD instructions with their plain forms.
import { CONTROL_ARGUMENTS } from './tasks';

/** Argument i of the running task. */
@inline
export function arg(i: i32): usize {
  return load<u32>(CONTROL_ARGUMENTS + (i << 2));
}
@inline
export function argF32(i: i32): f32 {
  return load<f32>(CONTROL_ARGUMENTS + (i << 2));
}

/** a·b + c; fused where relaxed SIMD is on and the machine fuses, so the relaxed and the plain build may differ in the last bit. */
@inline
export function madd(a: v128, b: v128, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return f32x4.relaxed_madd(a, b, c);
  return f32x4.add(f32x4.mul(a, b), c);
}

/**
 * Sixteen products of i8 (x) and 0…127 (w), added in neighbouring pairs: i16 × 8. Exact while 2·127·max(w) < 2¹⁵, which holds
 * for w ≤ 127, so the relaxed instruction and the plain form agree.
 */
@inline
export function dotPairs(x: v128, w: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i16x8.relaxed_dot_i8x16_i7x16_s(x, w);
  const low = i16x8.extmul_low_i8x16_s(x, w);
  const high = i16x8.extmul_high_i8x16_s(x, w);
  return i16x8.add(
    v128.shuffle<i16>(low, high, 0, 2, 4, 6, 8, 10, 12, 14),
    v128.shuffle<i16>(low, high, 1, 3, 5, 7, 9, 11, 13, 15),
  );
}

/**
 * sum + products of x and w, as above: four to an i32 lane in the build for processors that have such an instruction (HAS_DOT; w may
 * then be 0…255), else two to an i16 lane.
 */
@inline
export function dotGrow(x: v128, w: v128, sum: v128): v128 {
  if (HAS_DOT) return i32x4.relaxed_dot_i8x16_i7x16_add_s(x, w, sum);
  return i16x8.add(sum, dotPairs(x, w));
}

/** f16 bits → f32; exact, all cases. */
@inline
export function f16ToF32(bits: u32): f32 {
  const sign = (bits & 0x8000) << 16;
  const rest = (bits & 0x7fff) << 13;
  if (rest >= 0x0f800000) return reinterpret<f32>(sign | rest | 0x70000000); // exponent 31: infinity, NaN
  return reinterpret<f32>(sign | reinterpret<u32>(reinterpret<f32>(rest) * reinterpret<f32>(0x77800000)));
}

/** f32 → f16 bits, to nearest even; NaN stays NaN, overflow becomes infinity. */
export function f32ToF16(value: f32): u32 {
  const bits = reinterpret<u32>(value);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude >= 0x7f800000) return magnitude > 0x7f800000 ? sign | 0x7e00 : sign | 0x7c00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  if (magnitude < 0x38800000) {
    // subnormal: adding 2⁻¹ makes f32 round at the f16 unit 2⁻²⁴
    return sign | (reinterpret<u32>(reinterpret<f32>(magnitude) + 0.5) - 0x3f000000);
  }
  return sign | ((magnitude + 0xfff + ((magnitude >>> 13) & 1) - 0x38000000) >>> 13);
}

/** The constants of exp4, in memory: V8 rebuilds a literal vector at every use, and a load costs a third of that. */
const EXP: usize = memory.data<f32>([
  -86, 89, 1.44269504088896341, 12582912, 0.693359375, -2.12194440e-4, 1.9875691500e-4, 1.3981999507e-3, 8.3334519073e-3,
  4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1, 1, 2,
]);
const EXP_BIAS: usize = memory.data<i32>([126]);
@inline
function constant(i: usize): v128 {
  return v128.load32_splat(EXP + i * 4);
}

/** 1 in every lane. */
@inline
export function one(): v128 {
  return constant(12);
}

/** ln 2 cut to 9 bits, and what is left of it: they go to exp4. */
@inline
export function lnTwoHigh(): v128 {
  return constant(4);
}
@inline
export function lnTwoLow(): v128 {
  return constant(5);
}

/**
 * e^x to 2 ulp: x = n·ln 2 + r, a polynomial of degree 7 for e^r (Cody–Waite reduction; coefficients of Cephes expf), times 2ⁿ⁻¹ and 2
 * so that it overflows to infinity. Adding 1.5·2²³ rounds to a whole number and leaves it in the low bits. Below e^−86 it is zero:
 * subnormal numbers are slow, and nothing here needs them. NaN stays NaN. Written without fused operations: all builds agree.
 * In pairs over neighbouring numbers, engines that join pairs take eight at a time. `high` and `low` are lnTwoHigh and lnTwoLow, which a
 * loop loads once: Binaryen's CSE leaves these two of the constants twice in the body, and V8 joins nothing that has them twice.
 */
@inline
export function exp4(x: v128, high: v128, low: v128): v128 {
  const bounded = f32x4.pmin(f32x4.pmax(x, constant(0)), constant(1));
  const shifted = f32x4.add(f32x4.mul(bounded, constant(2)), constant(3));
  const n = f32x4.sub(shifted, constant(3));
  const r = f32x4.sub(f32x4.sub(bounded, f32x4.mul(n, high)), f32x4.mul(n, low));
  let p = f32x4.add(f32x4.mul(constant(6), r), constant(7));
  p = f32x4.add(f32x4.mul(p, r), constant(8));
  p = f32x4.add(f32x4.mul(p, r), constant(9));
  p = f32x4.add(f32x4.mul(p, r), constant(10));
  p = f32x4.add(f32x4.mul(p, r), constant(11));
  p = f32x4.add(f32x4.add(f32x4.mul(p, f32x4.mul(r, r)), r), constant(12));
  p = f32x4.mul(p, i32x4.shl(i32x4.add(shifted, v128.load32_splat(EXP_BIAS)), 23));
  return v128.andnot(f32x4.mul(p, constant(13)), f32x4.lt(x, constant(0)));
}

/** e^x of one number, by the same steps as exp4. */
export function exp1(x: f32): f32 {
  return f32x4.extract_lane(exp4(f32x4.splat(x), lnTwoHigh(), lnTwoLow()), 0);
}

const TANH: usize = memory.data<f32>([
  -5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1, 0.625,
]);
@inline
function tanhConstant(i: usize): v128 {
  return v128.load32_splat(TANH + i * 4);
}

/** tanh x to a few ulp: a polynomial below 0.625 (coefficients of Cephes tanhf), 1 − 2 / (e^2|x| + 1) beyond. NaN stays NaN. */
@inline
export function tanh4(x: v128, high: v128, low: v128): v128 {
  const z = f32x4.mul(x, x);
  let p = f32x4.add(f32x4.mul(tanhConstant(0), z), tanhConstant(1));
  p = f32x4.add(f32x4.mul(p, z), tanhConstant(2));
  p = f32x4.add(f32x4.mul(p, z), tanhConstant(3));
  p = f32x4.add(f32x4.mul(p, z), tanhConstant(4));
  const near = f32x4.add(f32x4.mul(f32x4.mul(p, z), x), x);
  const size = f32x4.abs(x);
  const e = exp4(f32x4.add(size, size), high, low);
  const rest = f32x4.sub(one(), f32x4.div(constant(13), f32x4.add(e, one())));
  const far = v128.or(rest, v128.xor(x, size));
  return v128.bitselect(far, near, f32x4.ge(size, tanhConstant(5)));
}

/** The four lanes added in a fixed order. */
@inline
export function sumLanes(x: v128): f32 {
  return (
    f32x4.extract_lane(x, 0) + f32x4.extract_lane(x, 1) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3))
  );
}
