// Pieces that the quantized kernels are made of.
import { CONTROL_ZERO, PACK_TABLE_BF16 } from '../tasks';
import { offsetOf } from './layout.assembly';

/**
 * A constant that the compiler cannot see through. V8 rebuilds a literal vector at every use (three instructions), and does not join a
 * pair of sums that start from literal zeros; a value that might be anything stays in its register.
 */
@inline
export function kept(constant: v128): v128 {
  return v128.or(v128.load32_splat(CONTROL_ZERO), constant);
}
/** Four scales of blocks that belong to no super-block, as f32. `wide`: sign-extended to 32 bits. */
@inline
export function blockScales(kind: i32, wide: v128, bits: v128, power: v128): v128 {
  return kind == PACK_TABLE_BF16 ? i32x4.shl(wide, 16) : scalesF16(wide, bits, power);
}

/** The levels at `at`, with the offset added. */
@inline
export function levelsWhole(kind: i32, at: usize): v128 {
  return i8x16.add(v128.load(at), i8x16.splat(<i8>offsetOf(kind)));
}
/** The levels that nibbles stand for. */
@inline
export function lookUp(levels: v128, nibbles: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(levels, nibbles);
  return i8x16.swizzle(levels, nibbles);
}

@inline
export function nibbleHigh(packed: v128, mask: v128): v128 {
  return v128.and(i16x8.shr_u(packed, 4), mask);
}

/**
 * The high bits of group g, moved to where they belong. `bits`: the plane's bytes (Q6_K: of groups 0…3 or 4…7); `mask`: 0x10 or, for
 * two bits, 0x30 in every byte.
 */
@inline
export function highBits(isTwo: bool, bits: v128, g: i32, mask: v128): v128 {
  const place = isTwo ? 2 * (g & 3) : g;
  if (place < 4) return v128.and(i16x8.shl(bits, 4 - place), mask);
  return v128.and(i16x8.shr_u(bits, place - 4), mask);
}

/** Four f16 scales, sign-extended, → f32. Finite values only, as packing refuses others. `mask`, `power`: scaleMask, scalePower, kept. */
@inline
export function scalesF16(wide: v128, mask: v128, power: v128): v128 {
  return f32x4.mul(v128.and(i32x4.shl(wide, 13), mask), power);
}
@inline
export function scaleMask(): v128 {
  return kept(i32x4.splat(<i32>0x8fffe000));
}
/** 2¹¹², the difference of the exponents' biases. */
@inline
export function scalePower(): v128 {
  return kept(i32x4.splat(0x77800000));
}
