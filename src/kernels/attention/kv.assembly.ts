// New keys and values go into the KV cache, which lies as cached/layout.ts says.
import { arg, f16ToF32, f32ToF16 } from '../simd.assembly';

export const KV_F32 = 0;
export const KV_F16 = 1;
export const KV_Q8_0 = 2;
export const KV_Q4_0 = 3;
export const BLOCK_TOKENS: usize = 32;

@inline
export function scaleCount(E: usize): usize {
  return (E + 31) >> 5;
}
@inline
export function keyPanelBytes(type: i32, E: usize): usize {
  if (type == KV_F32) return E * 32;
  if (type == KV_F16) return E * 16;
  return scaleCount(E) * 16 + (type == KV_Q8_0 ? E * 8 : ((E + 3) >> 2) * 16);
}
@inline
export function valueRowBytes(type: i32, E: usize): usize {
  const padded = (E + 7) & ~7;
  if (type == KV_F32) return padded * 4;
  if (type == KV_F16) return padded * 2;
  return valueQuantBytes(type, E) + ((scaleCount(E) * 2 + 3) & ~3);
}
/** Where the scales of a quantized row of values begin. */
@inline
export function valueQuantBytes(type: i32, E: usize): usize {
  return type == KV_Q8_0 ? (E + 7) & ~7 : scaleCount(E) * 16;
}
/** Bytes of one head's chunk of one block. */
export function kvChunkBytes(type: i32, E: usize): usize {
  return (4 * keyPanelBytes(type, E) + BLOCK_TOKENS * valueRowBytes(type, E) + 31) & ~31;
}

/** The chunk of a head in a block, in a layer of `blockCount` blocks. */
@inline
export function chunkAt(base: usize, blockCount: usize, head: usize, block: usize, chunkBytes: usize): usize {
  return base + (head * blockCount + block) * chunkBytes;
}

/** Arguments: type, layer base, heads K, E, k, v, places (block · 32 + slot of each row), blocks. Unit = one new row. */
export function kvAppend(first: i32, last: i32): void {
  const type = <i32>arg(0);
  const K = arg(2);
  const E = arg(3);
  const chunk = kvChunkBytes(type, E);
  for (let n: usize = first; n < <usize>last; n++) {
    const place = load<u32>(arg(6) + n * 4);
    const slot: usize = place & 31;
    for (let head: usize = 0; head < K; head++) {
      const base = chunkAt(arg(1), arg(7), head, place >> 5, chunk);
      const keys = base + (slot >> 3) * keyPanelBytes(type, E);
      const values = base + 4 * keyPanelBytes(type, E) + slot * valueRowBytes(type, E);
      const from = (n * K + head) * E * 4;
      if (type == KV_F32) {
        for (let e: usize = 0; e < E; e++) {
          store<f32>(keys + e * 32 + (slot & 7) * 4, load<f32>(arg(4) + from + e * 4));
        }
        memory.copy(values, arg(5) + from, E * 4);
      } else if (type == KV_F16) {
        for (let e: usize = 0; e < E; e++) {
          store<u16>(keys + e * 16 + (slot & 7) * 2, <u16>f32ToF16(load<f32>(arg(4) + from + e * 4)));
          store<u16>(values + e * 2, <u16>f32ToF16(load<f32>(arg(5) + from + e * 4)));
        }
      } else {
        const keyQuants = keys + scaleCount(E) * 16;
        const valueScales = values + valueQuantBytes(type, E);
        for (let e: usize = 0; e < E; e += 32) {
          const count = min<usize>(32, E - e);
          const keyScale = keys + (e >> 5) * 16 + (slot & 7) * 2;
          const valueScale = valueScales + (e >> 5) * 2;
          if (type == KV_Q8_0) {
            quantize(keyScale, keyQuants + e * 8 + (slot & 7), 8, arg(4) + from + e * 4, count);
            quantize(valueScale, values + e, 1, arg(5) + from + e * 4, count);
          } else {
            const pair = keyQuants + e * 4 + (slot & 7);
            quantizeNibbles(keyScale, pair, 8, 1, arg(4) + from + e * 4, count);
            quantizeNibbles(valueScale, values + (e >> 1), 1, 16, arg(5) + from + e * 4, count);
          }
        }
      }
    }
  }
}

/** Numbers are divided by what a reader will see, the rounded scale. */
function quantize(scaleAt: usize, out: usize, stride: usize, x: usize, count: usize): void {
  let largest: f32 = 0;
  for (let i: usize = 0; i < count; i++) largest = max(largest, abs(load<f32>(x + i * 4)));
  const inverse = storeScale(scaleAt, largest / 127);
  for (let i: usize = 0; i < count; i++) {
    const q = nearest(load<f32>(x + i * 4) * inverse);
    store<i8>(out + i * stride, <i8>(<i32>max<f32>(-127, min<f32>(127, q == q ? q : <f32>0))));
  }
}

/** `apart`: columns between the two of a byte. The low nibble is written first, so that an odd last column leaves a whole byte. */
function quantizeNibbles(scaleAt: usize, out: usize, stride: usize, apart: usize, x: usize, count: usize): void {
  let largest: f32 = 0;
  let extreme: f32 = 0;
  for (let i: usize = 0; i < count; i++) {
    const value = load<f32>(x + i * 4);
    if (abs(value) <= largest) continue; // false for NaN, which becomes the scale
    largest = abs(value);
    extreme = value;
    if (value != value) break;
  }
  const inverse = storeScale(scaleAt, extreme / -8);
  for (let i: usize = 0; i < count; i++) {
    const q = floor<f32>(load<f32>(x + i * 4) * inverse + 8.5);
    const nibble = <i32>max<f32>(0, min<f32>(15, q == q ? q : <f32>8));
    const isHigh = ((i / apart) & 1) != 0;
    const at = out + ((i / (2 * apart)) * apart + (i % apart)) * stride;
    store<u8>(at, isHigh ? load<u8>(at) | (nibble << 4) : nibble);
  }
}

/** Returns what to multiply with; 0 for a scale of 0. */
function storeScale(at: usize, scale: f32): f32 {
  const bits = f32ToF16(scale);
  store<u16>(at, <u16>bits);
  const rounded = f16ToF32(bits);
  return rounded == 0 ? <f32>0 : <f32>1 / rounded;
}
