// What matrix-vector and matrix-matrix products over int8 activations do with a block of 32 columns, type by type. Integer and exact:
//
//   T = Σ (q_w − offset) · q_x     over the block, or over each half of it where a half has a scale of its own ("halved")
//
// then, block after block (and half after half), with plain multiplications and additions, never fused:
//
//   acc = acc + (f32(T) · a − b · f32(Σ q_x)) · dx     a = d, or d · sub-scale     b = minimum, where the type has one
//
// A sum grows by four products a lane at a time ("step"). Where the engine has an instruction for that (HAS_DOT), it is i32 from the
// start, and Q8_0's quants 0…255 go in as they are. Elsewhere, quants of up to 4 bits grow i16 sums, which 8 groups of 2·15·127 fit.
// Levels of a table go in with the offset added: i8 as 0…255, the small ones of TABLE_BF16 and TABLE_HALVES as 0…127.
import { dotGrow, dotPairs } from '../simd.assembly';
import { PACK_Q2_K, PACK_Q3_K, PACK_Q6_K, PACK_Q8_0, PACK_TABLE, PACK_TABLE_BF16, PACK_TABLE_F16, PACK_TABLE_HALVES } from '../tasks';
import { blockBytes, blockStride, hasMinima, hasMinPlane, highBytes, isSuper, isTable, offsetOf, scaleAt } from './layout.assembly';
import { highBits, kept, nibbleHigh, scaleMask, scalePower, scalesF16, startOfSum } from './pieces.assembly';

/** Two scales a block. */
@inline
export function isHalved(kind: i32): bool {
  return kind == PACK_Q6_K || kind == PACK_Q3_K || kind == PACK_Q2_K || kind == PACK_TABLE_HALVES;
}
/** Quants of 8 bits meet an engine without an instruction for them: low nibbles first, then high ones, times 16. */
@inline
export function isSplit(kind: i32): bool {
  return !HAS_DOT && (kind == PACK_Q8_0 || kind == PACK_TABLE_F16 || kind == PACK_TABLE);
}
@inline
function growsNarrow(kind: i32): bool {
  return !HAS_DOT && (isTable(kind) ? isSplit(kind) : highBytes(kind) == 0);
}

/** sum + four products a lane: of i8 (x) and of 0…127 (w; Q8_0 with HAS_DOT: 0…255). */
@inline
export function step(kind: i32, x: v128, w: v128, sum: v128): v128 {
  if (HAS_DOT || growsNarrow(kind)) return dotGrow(x, w, sum);
  return i32x4.add(sum, i32x4.dot_i16x8_s(dotPairs(x, w), i16x8.splat(1)));
}
/** What a sum grows from, when T is to begin with `start`. */
@inline
export function begin(kind: i32, start: v128): v128 {
  return growsNarrow(kind) ? startOfSum() : start;
}
/** T, of a sum that began so. `weight`: one in every i16. */
@inline
export function end(kind: i32, sum: v128, start: v128, weight: v128): v128 {
  return growsNarrow(kind) ? i32x4.add(i32x4.dot_i16x8_s(sum, weight), start) : sum;
}

/** Picks, by dot_i16x8_s, `factor` × the sum of a block's activations out of (first half, second half): the whole, or half h. */
@inline
export function picker(kind: i32, h: i32, factor: i32): v128 {
  if (!isHalved(kind)) return kept(i16x8.splat(<i16>factor));
  return kept(i32x4.splat(h == 0 ? factor & 0xffff : factor << 16));
}
/** −offset · Σ q_x, as i32. */
@inline
export function startOf(kind: i32, sums: v128, minusOffset: v128): v128 {
  return offsetOf(kind) == 0 ? startOfSum() : i32x4.dot_i16x8_s(sums, minusOffset);
}

/** f32(Σ q_x), where it is wanted. */
@inline
export function sumsOf(kind: i32, sums: v128, one: v128): v128 {
  return hasMinima(kind) ? f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(sums, one)) : sums;
}

/** The levels at `at`, with the offset added; where they are split, the low half of every level, or the high half. */
@inline
export function levelsWhole(kind: i32, at: usize): v128 {
  return i8x16.add(v128.load(at), i8x16.splat(<i8>offsetOf(kind)));
}
@inline
export function levelsLow(kind: i32, at: usize): v128 {
  const whole = levelsWhole(kind, at);
  return isSplit(kind) ? v128.and(whole, i8x16.splat(15)) : whole;
}
@inline
export function levelsHigh(kind: i32, at: usize): v128 {
  const whole = levelsWhole(kind, at);
  return isSplit(kind) ? v128.and(i16x8.shr_u(whole, 4), i8x16.splat(15)) : whole;
}
/** The levels that nibbles stand for. */
@inline
export function lookUp(levels: v128, nibbles: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i8x16.relaxed_swizzle(levels, nibbles);
  return i8x16.swizzle(levels, nibbles);
}

/** Group g (0…7) of a block. `high`: the plane of high bits, of Q6_K the half that holds the group; of the TABLE kinds the levels. */
@inline
export function quants(kind: i32, packed: v128, mask: v128, high: v128, g: i32, highMask: v128): v128 {
  if (kind == PACK_Q8_0 && HAS_DOT) return packed;
  const nibbles = g < 4 ? v128.and(packed, mask) : nibbleHigh(packed, mask);
  if (isTable(kind)) return lookUp(high, nibbles);
  if (highBytes(kind) == 0) return nibbles;
  return v128.or(nibbles, highBits(kind == PACK_Q6_K, high, g, highMask));
}
@inline
export function highMaskOf(kind: i32): v128 {
  return kept(i8x16.splat(kind == PACK_Q6_K ? 0x30 : 0x10));
}

/** (first, second) of 4 rows' i16 pairs → f32. */
@inline
function firstAsFloat(pairs: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(pairs, 16), 16));
}
@inline
function secondAsFloat(pairs: v128): v128 {
  return f32x4.convert_i32x4_s(i32x4.shr_s(pairs, 16));
}

@inline
function hasSignedScales(kind: i32): bool {
  return kind == PACK_Q6_K || kind == PACK_Q3_K || isTable(kind);
}
/** A block's sub-block scales of rows 0…3 and 4…7, as i16 pairs, where the type has such. */
@inline
export function scaleWordsA(kind: i32, at: usize): v128 {
  if (!isSuper(kind)) return startOfSum();
  return hasSignedScales(kind) ? v128.load8x8_s(at) : v128.load8x8_u(at);
}
@inline
export function scaleWordsB(kind: i32, at: usize): v128 {
  if (!isSuper(kind)) return startOfSum();
  return hasSignedScales(kind) ? v128.load8x8_s(at, 8) : v128.load8x8_u(at, 8);
}
/** Those of its minima; where they come with the scales, `scales`. */
@inline
export function minimumWordsA(kind: i32, at: usize, scales: v128): v128 {
  if (!isSuper(kind)) return startOfSum();
  return kind == PACK_Q2_K ? v128.load8x8_u(at) : scales;
}
@inline
export function minimumWordsB(kind: i32, at: usize, scales: v128): v128 {
  if (!isSuper(kind)) return startOfSum();
  return kind == PACK_Q2_K ? v128.load8x8_u(at, 8) : scales;
}
/** Four scales of blocks that belong to no super-block, as f32. `wide`: sign-extended to 32 bits. */
@inline
export function blockScales(kind: i32, wide: v128, bits: v128, power: v128): v128 {
  return kind == PACK_TABLE_BF16 ? i32x4.shl(wide, 16) : scalesF16(wide, bits, power);
}
/**
 * Writes the f16 scales (and minima) of every block of two neighbouring panels, the first at w, as f32, once for all tiles: a scale under 2⁻¹⁴ is a subnormal number on
 * the way, which costs a processor a hundred cycles.
 */
@inline
export function widenScales(kind: i32, w: usize, blocks: usize, wide: usize): void {
  const bytes = blockBytes(kind);
  const bits = scaleMask();
  const power = scalePower();
  let scales = w + scaleAt(kind);
  for (; blocks > 0; blocks--, scales += blockStride(kind)) {
    v128.store(wide, blockScales(kind, v128.load16x4_s(scales), bits, power));
    v128.store(wide, blockScales(kind, v128.load16x4_s(scales, 8), bits, power), 16);
    v128.store(wide, blockScales(kind, v128.load16x4_s(scales + bytes), bits, power), 32);
    v128.store(wide, blockScales(kind, v128.load16x4_s(scales + bytes, 8), bits, power), 48);
    wide += 64;
    if (hasMinPlane(kind)) {
      v128.store(wide, blockScales(kind, v128.load16x4_s(scales, 16), bits, power));
      v128.store(wide, blockScales(kind, v128.load16x4_s(scales, 24), bits, power), 16);
      v128.store(wide, blockScales(kind, v128.load16x4_s(scales + bytes, 16), bits, power), 32);
      v128.store(wide, blockScales(kind, v128.load16x4_s(scales + bytes, 24), bits, power), 48);
      wide += 64;
    }
  }
}

/** a, of d as f32. */
@inline
export function scaleOf(kind: i32, h: i32, words: v128, d: v128): v128 {
  return isSuper(kind) ? f32x4.mul(d, h == 0 ? firstAsFloat(words) : secondAsFloat(words)) : d;
}
/** b, of dmin (or m) as f32. */
@inline
export function minimumOf(kind: i32, h: i32, words: v128, dmin: v128): v128 {
  if (!isSuper(kind)) return f32x4.neg(dmin);
  return f32x4.mul(dmin, kind == PACK_Q2_K && h == 0 ? firstAsFloat(words) : secondAsFloat(words));
}

/** What a block (or half) adds. `sums`: f32(Σ q_x), where there are minima. */
@inline
export function scaled(kind: i32, T: v128, a: v128, b: v128, sums: v128, dx: v128): v128 {
  const product = f32x4.mul(f32x4.convert_i32x4_s(T), a);
  return f32x4.mul(hasMinima(kind) ? f32x4.sub(product, f32x4.mul(b, sums)) : product, dx);
}
