/** Pieces that kernels of several rooms are made of, four lanes at a time. */
import { CONTROL_ZERO } from './tasks.ts';
import { functionOf } from './writer/statements.ts';
import { choose, F32, F32x4, I32, I32x4, type ValueClass, type Vector } from './writer/values.ts';

/** The two vectors of eight numbers, in neighbouring statements: an engine that joins pairs of 128-bit operations finds them there. */
export function pair<T>(of: (half: 0 | 1) => T): [T, T] {
  return [of(0), of(1)];
}

/** What `of` makes of 0 … count − 1. */
export function times<T>(count: number, of: (i: number) => T): T[] {
  return Array.from({ length: count }, (_, i) => of(i));
}

/** 0, which an engine cannot see through. */
export function hiddenZero(): I32 {
  return I32.load(I32.of(CONTROL_ZERO));
}

/** Zeros likewise: V8 does not join a pair of sums that start from literal ones. */
export function zeros<V extends Vector>(lanes: ValueClass<V>): V {
  return I32x4.loadSplat(I32.of(CONTROL_ZERO)).as(lanes);
}

/** A constant likewise: V8 rebuilds a literal vector at every use (three instructions); one that might be anything stays in its register. */
export function kept<V extends Vector>(constant: V): V {
  return zeros(I32x4)
    .or(constant)
    .as(constant.constructor as ValueClass<V>);
}

/** ln 2 cut to 9 bits, and what is left of it. */
export const LN2_HIGH = 0.693359375;
export const LN2_LOW = -2.1219444e-4;

/** Of the polynomial for e^r, the highest degree first; 1 and r end it. */
export const expCoefficients = [
  1.98756915e-4, 1.3981999507e-3, 8.3334519073e-3, 4.1665795894e-2, 1.6666665459e-1, 5.0000001201e-1,
];

/** The two parts of ln 2. A loop loads them once: V8 joins nothing that loads them twice. */
export function lnTwo(): readonly [F32x4, F32x4] {
  return [F32x4.constant(LN2_HIGH), F32x4.constant(LN2_LOW)];
}

/**
 * e^x to 2 ulp: x = n·ln 2 + r, a polynomial of degree 7 for e^r (Cody–Waite reduction; coefficients of Cephes expf), times 2ⁿ⁻¹ and 2
 * so that it overflows to infinity. Adding 1.5·2²³ rounds to a whole number and leaves it in the low bits. Below e^−86 it is zero:
 * subnormal numbers are slow, and nothing here needs them. NaN stays NaN. Without fused operations: all builds agree.
 */
export function exp(x: F32x4, [high, low]: readonly [F32x4, F32x4]): F32x4 {
  const c = F32x4.constant;
  const bounded = x.pmax(c(-86)).pmin(c(89));
  const shifted = bounded.mul(c(Math.LOG2E)).add(c(12582912));
  const n = shifted.sub(c(12582912));
  const r = bounded.sub(n.mul(high)).sub(n.mul(low));
  const [first, ...others] = expCoefficients;
  let p = c(first!);
  for (const coefficient of others) p = p.mul(r).add(c(coefficient));
  p = p.mul(r.mul(r)).add(r).add(c(1));
  const power = shifted.as(I32x4).add(I32x4.constant(126)).shl(23);
  return p
    .mul(power.as(F32x4))
    .mul(c(2))
    .andNot(x.lt(c(-86)));
}

/** tanh x to a few ulp: a polynomial below 0.625 (coefficients of Cephes tanhf), 1 − 2 / (e^2|x| + 1) beyond. NaN stays NaN. */
export function tanh(x: F32x4, ln2: readonly [F32x4, F32x4]): F32x4 {
  const c = F32x4.constant;
  const z = x.mul(x);
  let p = c(-5.70498872745e-3);
  for (const coefficient of [2.06390887954e-2, -5.37397155531e-2, 1.33314422036e-1, -3.33332819422e-1]) {
    p = p.mul(z).add(c(coefficient));
  }
  const near = p.mul(z).mul(x).add(x);
  const size = x.abs();
  const rest = c(1).sub(c(2).div(exp(size.add(size), ln2).add(c(1))));
  return rest.or(x.xor(size)).where(size.ge(c(0.625)), near);
}

/** f16 bits → f32; exact, all cases. */
export function halfToF32(bits: I32): F32 {
  const sign = bits.and(0x8000).shl(16);
  const rest = bits.and(0x7fff).shl(13);
  const finite = rest
    .asF32()
    .mul(2 ** 112)
    .asI32();
  const wide = choose(rest.ge(0x0f800000), rest.or(0x70000000), finite); // exponent 31: infinity, NaN
  return wide.or(sign).asF32();
}

/** f32 → f16 bits, to nearest even; NaN stays NaN, overflow becomes infinity. */
export const halfOfF32 = functionOf('halfOfF32', { value: F32 }, I32, ({ value }) => {
  const bits = value.asI32();
  const magnitude = bits.and(0x7fffffff);
  // subnormal: adding 2⁻¹ makes f32 round at the f16 unit 2⁻²⁴
  const small = magnitude.asF32().add(0.5).asI32().sub(0x3f000000);
  const even = magnitude.shr(13).and(1);
  const normal = magnitude.add(0xfff).add(even).sub(0x38000000).shr(13);
  const finite = choose(magnitude.lt(0x38800000), small, normal);
  const large = choose(magnitude.gt(0x7f800000), I32.of(0x7e00), I32.of(0x7c00));
  return choose(magnitude.ge(0x477ff000), large, finite).or(bits.shr(16).and(0x8000));
});
