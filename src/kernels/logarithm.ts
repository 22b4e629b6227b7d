/** Logarithm and exponential in f64, for one number a row: no table, and the same bits on every engine. */
import { choose, type F32, F64, type I32 } from './writer/values.ts';

/** Terms of the series of the logarithm, and of the exponential: the next one is below half a unit in the last place. */
const LOG_TERMS = 12;
const EXP_TERMS = 14;

/**
 * ln x of a sum of exponentials: an f32 that is no subnormal number, or infinite, or NaN. x = 2ᵏ · m with m in [√½, √2), and
 * ln m = 2 artanh s = 2 (s + s³/3 + s⁵/5 + …), s = (m − 1) / (m + 1).
 */
export function logarithm(x: F32): F64 {
  const bits = x.asI32();
  const k = bits.sub(0x3f3504f3).shrSigned(23);
  const m = bits.sub(k.shl(23)).asF32().toF64();
  const s = m.sub(1).div(m.add(1));
  const z = s.mul(s);
  let series = F64.of(1 / (2 * LOG_TERMS - 1));
  for (let term = LOG_TERMS - 1; term > 0; term--) series = series.mul(z).add(1 / (2 * term - 1));
  const result = k.toF64Signed().mul(Math.LN2).add(s.add(s).mul(series));
  return choose(x.abs().lt(Number.POSITIVE_INFINITY), result, x.toF64());
}

/** e^x, infinite from 170 on and nothing below −170: x = k·ln 2 + r, the series of e^r, and 2ᵏ in two factors. */
export function exponential(x: F64): F64 {
  const bounded = x.max(-170).min(170);
  const k = bounded.mul(Math.LOG2E).nearest();
  const r = bounded.sub(k.mul(LN2_HIGH)).sub(k.mul(LN2_LOW));
  let series = F64.of(1);
  for (let term = EXP_TERMS; term > 0; term--) series = series.mul(r).div(term).add(1);
  const whole = k.toI32();
  const half = whole.shrSigned(1);
  const power = (exponent: I32) => exponent.add(127).shl(23).asF32().toF64();
  return series.mul(power(half)).mul(power(whole.sub(half)));
}

/** ln 2 cut to 32 bits, so that k · LN2_HIGH is exact, and the rest. */
const LN2_HIGH = Math.floor(Math.LN2 * 2 ** 32) / 2 ** 32;
const LN2_LOW = 1.9082149292705877e-10;
