// One head's block of an f16 or q8_0 cache → f32, in the layout of an f32 cache (kv.assembly.ts).
import { kept, scaleMask, scalePower } from '../linear/pieces.assembly';
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
  const magnitude = kept(i32x4.splat(0x7fffffff));
  const largest = kept(i32x4.splat(0x0f7fffff));
  const special = kept(i32x4.splat(0x7f800000));
  const end = out + count * 4;
  for (; out + 64 <= end; out += 64, from += 32) {
    const a = v128.and(i32x4.shl(v128.load16x4_s(from), 13), mask);
    const b = v128.and(i32x4.shl(v128.load16x4_s(from, 8), 13), mask);
    const c = v128.and(i32x4.shl(v128.load16x4_s(from, 16), 13), mask);
    const d = v128.and(i32x4.shl(v128.load16x4_s(from, 24), 13), mask);
    const sa = v128.and(i32x4.gt_s(v128.and(a, magnitude), largest), special);
    const sb = v128.and(i32x4.gt_s(v128.and(b, magnitude), largest), special);
    const sc = v128.and(i32x4.gt_s(v128.and(c, magnitude), largest), special);
    const sd = v128.and(i32x4.gt_s(v128.and(d, magnitude), largest), special);
    v128.store(out, v128.or(f32x4.mul(a, power), sa));
    v128.store(out, v128.or(f32x4.mul(b, power), sb), 16);
    v128.store(out, v128.or(f32x4.mul(c, power), sc), 32);
    v128.store(out, v128.or(f32x4.mul(d, power), sd), 48);
  }
  if (out < end) {
    const a = v128.and(i32x4.shl(v128.load16x4_s(from), 13), mask);
    const b = v128.and(i32x4.shl(v128.load16x4_s(from, 8), 13), mask);
    const sa = v128.and(i32x4.gt_s(v128.and(a, magnitude), largest), special);
    const sb = v128.and(i32x4.gt_s(v128.and(b, magnitude), largest), special);
    v128.store(out, v128.or(f32x4.mul(a, power), sa));
    v128.store(out, v128.or(f32x4.mul(b, power), sb), 16);
  }
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
