// One head's block of an f16 or q8_0 cache → f32, in the layout of an f32 cache (kv.assembly.ts).
import { kept, scaleMask, scalePower, startOfSum } from '../linear/pieces.assembly';
import { f16ToF32 } from '../simd.assembly';
import { KV_F16, keyPanelBytes, scaleCount, valueRowBytes } from './kv.assembly';

/** Positions from `count` on hold nothing yet; a panel of keys is widened as a whole, values only as far as they go. */
export function widenBlock(type: i32, out: usize, chunk: usize, E: usize, count: i32): void {
  const values = chunk + 4 * keyPanelBytes(type, E);
  const rowBytes = valueRowBytes(type, E);
  const padded = (E + 7) & ~7;
  if (type == KV_F16) {
    widenF16(out, chunk, E * (<usize>((count + 7) >> 3) * 8));
    widenF16(out + E * 128, values, padded * <usize>count);
    return;
  }
  for (let panel: usize = 0; panel < <usize>((count + 7) >> 3); panel++) {
    widenKeys(out + panel * E * 32, chunk + panel * keyPanelBytes(type, E), E);
  }
  for (let s: usize = 0; s < <usize>count; s++) {
    widenValues(out + E * 128 + s * padded * 4, values + s * rowBytes, padded);
  }
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

/** Four bytes → f32 × 4. */
@inline
function bytesAt(at: usize): v128 {
  return f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(i16x8.extend_low_i8x16_s(v128.load32_zero(at))));
}

function widenKeys(out: usize, panel: usize, E: usize): void {
  let from = panel + scaleCount(E) * 16;
  for (let e: usize = 0; e < E; e += 32) {
    for (let i: usize = 0; i < 8; i++) {
      const scale = f16ToF32(load<u16>(panel + (e >> 5) * 16 + i * 2));
      store<f32>(out + i * 4, scale);
    }
    // the scales lie where column e will: read them before it is written
    const sa = v128.load(out);
    const sb = v128.load(out, 16);
    const count = min<usize>(32, E - e);
    for (let i: usize = 0; i < count; i++, out += 32, from += 8) {
      v128.store(out, f32x4.mul(bytesAt(from), sa));
      v128.store(out, f32x4.mul(bytesAt(from + 4), sb), 16);
    }
  }
}

function widenValues(out: usize, row: usize, padded: usize): void {
  for (let e: usize = 0; e < padded; e += 8) {
    const scale = f32x4.splat(f16ToF32(load<u16>(row + padded + (e >> 5) * 2)));
    v128.store(out + e * 4, f32x4.mul(bytesAt(row + e), scale));
    v128.store(out + e * 4, f32x4.mul(bytesAt(row + e + 4), scale), 16);
  }
}
