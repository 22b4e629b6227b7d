// One head's block of an f16, q8_0 or q4_0 cache → f32, in the layout of an f32 cache (kv.assembly.ts).
import { kept, scaleMask, scalePower, scalesF16, startOfSum } from '../linear/pieces.assembly';
import { f16ToF32 } from '../simd.assembly';
import { KV_F16, KV_Q8_0, keyPanelBytes, scaleCount, valueQuantBytes, valueRowBytes } from './kv.assembly';

/** Positions from `count` on hold nothing yet; a panel of keys is widened as a whole, values only as far as they go. */
export function widenBlock(type: i32, out: usize, chunk: usize, E: usize, count: i32): void {
  const values = chunk + 4 * keyPanelBytes(type, E);
  if (type == KV_F16) {
    widenF16(out, chunk, E * (<usize>((count + 7) >> 3) * 8));
    widenF16(out + E * 128, values, ((E + 7) & ~7) * <usize>count);
    return;
  }
  for (let panel: usize = 0; panel < <usize>((count + 7) >> 3); panel++) {
    widenKeys(type, out + panel * E * 32, chunk + panel * keyPanelBytes(type, E), E);
  }
  widenValues(type, out + E * 128, values, E, count);
}

/** `count` numbers, a multiple of 8; infinities and NaN included. */
function widenF16(out: usize, from: usize, count: usize): void {
  const mask = scaleMask();
  const power = scalePower();
  const isFinite = areFinite(from, count);
  const end = out + count * 4;
  for (let to = out, at = from; to < end; to += 32, at += 16) {
    const a = f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(at), 13), mask), power);
    const b = f32x4.mul(v128.and(i32x4.shl(v128.load16x4_s(at, 8), 13), mask), power);
    v128.store(to, a);
    v128.store(to, b, 16);
  }
  if (isFinite) return;
  for (; out < end; out += 4, from += 2) store<f32>(out, f16ToF32(load<u16>(from)));
}

/** Whether no number has the exponent of infinities and NaN. */
function areFinite(from: usize, count: usize): bool {
  const magnitude = kept(i16x8.splat(0x7fff));
  let largest0 = startOfSum();
  let largest1 = largest0;
  const end = from + (count & ~15) * 2;
  for (; from < end; from += 32) {
    largest0 = i16x8.max_s(largest0, v128.and(v128.load(from), magnitude));
    largest1 = i16x8.max_s(largest1, v128.and(v128.load(from, 16), magnitude));
  }
  if ((count & 8) != 0) largest0 = i16x8.max_s(largest0, v128.and(v128.load(from), magnitude));
  return !v128.any_true(i16x8.gt_s(i16x8.max_s(largest0, largest1), i16x8.splat(0x7bff)));
}

/** Eight signed bytes → f32 × 8, times the scales. */
@inline
function storeBytes(out: usize, bytes: v128, sa: v128, sb: v128): void {
  v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(bytes)), sa));
  v128.store(out, f32x4.mul(f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(bytes)), sb), 16);
}

/** A panel of keys: columns of 8 positions. Writes up to a multiple of four columns, into what comes behind the panel. */
function widenKeys(type: i32, out: usize, panel: usize, E: usize): void {
  const mask = scaleMask();
  const power = scalePower();
  const lowNibbles = kept(i8x16.splat(15));
  const eight = kept(i8x16.splat(8));
  let from = panel + scaleCount(E) * 16;
  for (let e: usize = 0; e < E; e += 32, panel += 16) {
    let sa = scalesF16(v128.load16x4_s(panel), mask, power);
    let sb = scalesF16(v128.load16x4_s(panel, 8), mask, power);
    if (!areFinite(panel, 8)) {
      // Where column e will lie.
      for (let i: usize = 0; i < 8; i++) store<f32>(out + i * 4, f16ToF32(load<u16>(panel + i * 2)));
      sa = v128.load(out);
      sb = v128.load(out, 16);
    }
    const end = out + min<usize>(32, E - e) * 32;
    if (type == KV_Q8_0) {
      for (; out < end; out += 32, from += 8) storeBytes(out, v128.load8x8_s(from), sa, sb);
    } else {
      for (; out < end; out += 128, from += 16) {
        const pairs = v128.load(from);
        const even = i8x16.sub(v128.and(pairs, lowNibbles), eight);
        const odd = i8x16.sub(i8x16.shr_u(pairs, 4), eight);
        storeBytes(out, i16x8.extend_low_i8x16_s(even), sa, sb);
        storeBytes(out + 32, i16x8.extend_low_i8x16_s(odd), sa, sb);
        storeBytes(out + 64, i16x8.extend_high_i8x16_s(even), sa, sb);
        storeBytes(out + 96, i16x8.extend_high_i8x16_s(odd), sa, sb);
      }
    }
  }
}

/** The scale of 32 columns of a row of values, four times. */
@inline
function scaleAt(at: usize, mask: v128, power: v128): v128 {
  const bits = load<u16>(at);
  if ((bits & 0x7c00) == 0x7c00) return f32x4.splat(f16ToF32(bits));
  return scalesF16(i32x4.extend_low_i16x8_s(v128.load16_splat(at)), mask, power);
}

/** Rows of values. */
function widenValues(type: i32, out: usize, row: usize, E: usize, rows: usize): void {
  const mask = scaleMask();
  const power = scalePower();
  const lowNibbles = kept(i8x16.splat(15));
  const eight = kept(i8x16.splat(8));
  const padded = (E + 7) & ~7;
  const rowBytes = valueRowBytes(type, E);
  const scales = valueQuantBytes(type, E);
  for (let s: usize = 0; s < rows; s++, row += rowBytes) {
    for (let e: usize = 0; e < padded; e += 32) {
      const scale = scaleAt(row + scales + (e >> 5) * 2, mask, power);
      const end = out + min<usize>(32, padded - e) * 4;
      if (type == KV_Q8_0) {
        for (let at = row + e; out < end; out += 32, at += 8) storeBytes(out, v128.load8x8_s(at), scale, scale);
        continue;
      }
      const pairs = v128.load(row + (e >> 1));
      const low = i8x16.sub(v128.and(pairs, lowNibbles), eight);
      const high = i8x16.sub(i8x16.shr_u(pairs, 4), eight);
      storeBytes(out, i16x8.extend_low_i8x16_s(low), scale, scale);
      if (end > out + 32) storeBytes(out + 32, i16x8.extend_high_i8x16_s(low), scale, scale);
      if (end > out + 64) storeBytes(out + 64, i16x8.extend_low_i8x16_s(high), scale, scale);
      if (end > out + 96) storeBytes(out + 96, i16x8.extend_high_i8x16_s(high), scale, scale);
      out = end;
    }
  }
}
