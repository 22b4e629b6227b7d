// Unpacking many columns of a panel at once: the same numbers as unpackRow (unpack.assembly.ts), 8 rows side by side, for matrices that
// are kept or multiplied as f32. Written as pairs of v128.
import {
  blockScales,
  highBits,
  kept,
  levelsWhole,
  lookUp,
  nibbleHigh,
  scaleMask,
  scalePower,
} from './pieces.assembly';
import {
  blockAt,
  blockBytes,
  columnBytes,
  floatsAt,
  groupAt,
  hasMinPlane,
  hasSuperMin,
  headAt,
  headBytes,
  highAt,
  highBytes,
  isFloat,
  isSuper,
  isTable,
  minAt,
  offsetOf,
  QUANTIZED_GROUP,
  scaleAt,
  tableAt,
  unliftAt,
} from './layout.assembly';
import { PACK_BF16, PACK_F16, PACK_F32, PACK_Q2_K, PACK_Q4_0, PACK_Q4_K, PACK_Q5_K, PACK_Q6_K, PACK_Q8_0, PACK_TABLE } from '../tasks';

/** Columns first … last − 1 (whole blocks of quantized ones) of a panel of w: 8 f32 each, `stride` bytes from column to column. */
export function unpackColumns(
  kind: i32,
  w: usize,
  panel: usize,
  columns: usize,
  first: usize,
  last: usize,
  out: usize,
  stride: usize,
): void {
  const at = w + (isFloat(kind) ? floatsAt(kind, columns, panel) : groupAt(kind, columns, panel));
  const member = panel % QUANTIZED_GROUP;
  switch (kind) {
    case PACK_F32:
      return f32Columns(at + first * columnBytes(PACK_F32), at + last * columnBytes(PACK_F32), out, stride);
    case PACK_F16:
      return halfColumns(PACK_F16, at + first * columnBytes(PACK_F16), at + last * columnBytes(PACK_F16), v128.load32_splat(w + unliftAt(columns, panel)), out, stride);
    case PACK_BF16:
      return halfColumns(PACK_BF16, at + first * columnBytes(PACK_F16), at + last * columnBytes(PACK_F16), scaleMask(), out, stride);
    case PACK_Q8_0:
      return blocks(PACK_Q8_0, at, columns, member, first >> 5, last >> 5, out, stride);
    case PACK_Q4_0:
      return blocks(PACK_Q4_0, at, columns, member, first >> 5, last >> 5, out, stride);
    case PACK_Q4_K:
      return blocks(PACK_Q4_K, at, columns, member, first >> 5, last >> 5, out, stride);
    case PACK_Q5_K:
      return blocks(PACK_Q5_K, at, columns, member, first >> 5, last >> 5, out, stride);
    case PACK_Q6_K:
      return blocks(PACK_Q6_K, at, columns, member, first >> 5, last >> 5, out, stride);
    default:
      return blocks(kind, at, columns, member, first >> 5, last >> 5, out, stride);
  }
}

@inline
function f32Columns(w: usize, end: usize, out: usize, stride: usize): void {
  for (; w < end; w += columnBytes(PACK_F32), out += stride) {
    const a = v128.load(w);
    const b = v128.load(w, 16);
    v128.store(out, a);
    v128.store(out, b, 16);
  }
}

@inline
function halfColumns(kind: i32, w: usize, end: usize, unlift: v128, out: usize, stride: usize): void {
  const mask = scaleMask();
  for (; w < end; w += columnBytes(PACK_F16), out += stride) {
    if (kind == PACK_F16) {
      const a = f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(w), 13), mask), unlift);
      const b = f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(w, 8), 13), mask), unlift);
      v128.store(out, a);
      v128.store(out, b, 16);
    } else {
      const a = i32x4.shl(v128.load16x4_u(w), 16);
      const b = i32x4.shl(v128.load16x4_u(w, 8), 16);
      v128.store(out, a);
      v128.store(out, b, 16);
    }
  }
}

/** value = scale · (quant − offset) − minimum, with scale and minimum of each half block. */
@inline
function blocks(kind: i32, group: usize, columns: usize, member: usize, first: usize, last: usize, out: usize, stride: usize): void {
  const lowMask = kept(i8x16.splat(15));
  const highMask = kept(i8x16.splat(kind == PACK_Q6_K ? 0x30 : 0x10));
  const byte = kept(i32x4.splat(255));
  const offset = kept(i32x4.splat(offsetOf(kind)));
  const mask = scaleMask();
  const power = scalePower();
  const pairMask = kept(i32x4.splat(0xffff));
  const levels = isTable(kind) ? levelsWhole(kind, group + tableAt(kind, columns)) : byte;
  for (let b = first; b < last; b++) {
    const block = group + blockAt(kind, b) + member * blockBytes(kind);
    const scales = block + scaleAt(kind);
    const minima = block + minAt(kind);
    let s0a: v128, s0b: v128, s1a: v128, s1b: v128;
    let m0a = f32x4.splat(0);
    let m0b = m0a;
    let m1a = m0a;
    let m1b = m0a;
    if (!isSuper(kind)) {
      s0a = s1a = blockScales(kind, v128.load16x4_s(scales), mask, power);
      s0b = s1b = blockScales(kind, v128.load16x4_s(scales, 8), mask, power);
      if (hasMinPlane(kind)) {
        m0a = m1a = f32x4.neg(blockScales(kind, v128.load16x4_s(minima), mask, power));
        m0b = m1b = f32x4.neg(blockScales(kind, v128.load16x4_s(minima, 8), mask, power));
      }
    } else {
      const supers = group + headAt(kind, b) + member * headBytes(kind);
      const da = v128.load(supers);
      const db = v128.load(supers, 16);
      if (!hasSuperMin(kind)) {
        const pairsa = v128.load8x8_s(scales);
        const pairsb = v128.load8x8_s(scales, 8);
        s0a = f32x4.mul(da, f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(pairsa, 16), 16)));
        s0b = f32x4.mul(db, f32x4.convert_i32x4_s(i32x4.shr_s(i32x4.shl(pairsb, 16), 16)));
        s1a = kind == PACK_TABLE ? s0a : f32x4.mul(da, f32x4.convert_i32x4_s(i32x4.shr_s(pairsa, 16)));
        s1b = kind == PACK_TABLE ? s0b : f32x4.mul(db, f32x4.convert_i32x4_s(i32x4.shr_s(pairsb, 16)));
      } else {
        const ma = v128.load(supers, 32);
        const mb = v128.load(supers, 48);
        const pairsa = v128.load8x8_u(scales);
        const pairsb = v128.load8x8_u(scales, 8);
        const firsta = f32x4.convert_i32x4_s(v128.and(pairsa, pairMask));
        const firstb = f32x4.convert_i32x4_s(v128.and(pairsb, pairMask));
        const seconda = f32x4.convert_i32x4_s(i32x4.shr_u(pairsa, 16));
        const secondb = f32x4.convert_i32x4_s(i32x4.shr_u(pairsb, 16));
        s0a = f32x4.mul(da, firsta);
        s0b = f32x4.mul(db, firstb);
        if (kind == PACK_Q2_K) {
          const lowa = v128.load8x8_u(minima);
          const lowb = v128.load8x8_u(minima, 8);
          s1a = f32x4.mul(da, seconda);
          s1b = f32x4.mul(db, secondb);
          m0a = f32x4.mul(ma, f32x4.convert_i32x4_s(v128.and(lowa, pairMask)));
          m0b = f32x4.mul(mb, f32x4.convert_i32x4_s(v128.and(lowb, pairMask)));
          m1a = f32x4.mul(ma, f32x4.convert_i32x4_s(i32x4.shr_u(lowa, 16)));
          m1b = f32x4.mul(mb, f32x4.convert_i32x4_s(i32x4.shr_u(lowb, 16)));
        } else {
          s1a = s0a;
          s1b = s0b;
          m0a = m1a = f32x4.mul(ma, seconda);
          m0b = m1b = f32x4.mul(mb, secondb);
        }
      }
    }
    // Written out, as V8 joins no pair across the branches that a loop's highBits would have.
    four(kind, 0, block, lowMask, highMask, levels, byte, offset, s0a, s0b, m0a, m0b, out, stride);
    four(kind, 1, block, lowMask, highMask, levels, byte, offset, s0a, s0b, m0a, m0b, out, stride);
    four(kind, 2, block, lowMask, highMask, levels, byte, offset, s0a, s0b, m0a, m0b, out, stride);
    four(kind, 3, block, lowMask, highMask, levels, byte, offset, s0a, s0b, m0a, m0b, out, stride);
    four(kind, 4, block, lowMask, highMask, levels, byte, offset, s1a, s1b, m1a, m1b, out, stride);
    four(kind, 5, block, lowMask, highMask, levels, byte, offset, s1a, s1b, m1a, m1b, out, stride);
    four(kind, 6, block, lowMask, highMask, levels, byte, offset, s1a, s1b, m1a, m1b, out, stride);
    four(kind, 7, block, lowMask, highMask, levels, byte, offset, s1a, s1b, m1a, m1b, out, stride);
    out += 32 * stride;
  }
}

/** Columns 4g … 4g + 3 of a block; g is a constant. */
@inline
function four(
  kind: i32,
  g: i32,
  block: usize,
  lowMask: v128,
  highMask: v128,
  levels: v128,
  byte: v128,
  offset: v128,
  sa: v128,
  sb: v128,
  ma: v128,
  mb: v128,
  out: usize,
  stride: usize,
): void {
  const low = block + (g & 3) * 32 + (kind == PACK_Q8_0 && g >= 4 ? 128 : 0);
  let qa = v128.load(low);
  let qb = v128.load(low, 16);
  if (kind != PACK_Q8_0) {
    qa = g < 4 ? v128.and(qa, lowMask) : nibbleHigh(qa, lowMask);
    qb = g < 4 ? v128.and(qb, lowMask) : nibbleHigh(qb, lowMask);
    if (isTable(kind)) {
      qa = lookUp(levels, qa);
      qb = lookUp(levels, qb);
    }
    if (highBytes(kind) != 0) {
      const high = block + highAt(kind) + (kind == PACK_Q6_K && g >= 4 ? 32 : 0);
      qa = v128.or(qa, highBits(kind == PACK_Q6_K, v128.load(high), g, highMask));
      qb = v128.or(qb, highBits(kind == PACK_Q6_K, v128.load(high, 16), g, highMask));
    }
  }
  fourColumns(qa, qb, byte, offset, sa, sb, ma, mb, out + g * 4 * stride, stride);
}

/** A group: byte c of each i32 lane is a row's quant in column c. */
@inline
function fourColumns(
  qa: v128,
  qb: v128,
  byte: v128,
  offset: v128,
  sa: v128,
  sb: v128,
  ma: v128,
  mb: v128,
  out: usize,
  stride: usize,
): void {
  v128.store(out, value(v128.and(qa, byte), offset, sa, ma));
  v128.store(out, value(v128.and(qb, byte), offset, sb, mb), 16);
  v128.store(out + stride, value(v128.and(i32x4.shr_u(qa, 8), byte), offset, sa, ma));
  v128.store(out + stride, value(v128.and(i32x4.shr_u(qb, 8), byte), offset, sb, mb), 16);
  v128.store(out + 2 * stride, value(v128.and(i32x4.shr_u(qa, 16), byte), offset, sa, ma));
  v128.store(out + 2 * stride, value(v128.and(i32x4.shr_u(qb, 16), byte), offset, sb, mb), 16);
  v128.store(out + 3 * stride, value(i32x4.shr_u(qa, 24), offset, sa, ma));
  v128.store(out + 3 * stride, value(i32x4.shr_u(qb, 24), offset, sb, mb), 16);
}
@inline
function value(quant: v128, offset: v128, scale: v128, minimum: v128): v128 {
  return f32x4.sub(f32x4.mul(scale, f32x4.convert_i32x4_s(i32x4.sub(quant, offset))), minimum);
}
