// Activations as int8: each row in blocks of 32 with one f32 scale, as every quantized `linear` reads them.
//
//   scale = max|x| / 127     q = round(x / scale), to nearest even     sums: Σq of the first and of the second 16, as two i16
//
// Rows ride in tiles of R = 1 or 4. A tile holds, block after block: R × 32 bytes q, R f32 scales, R pairs of sums; 40·R bytes.
// A NaN or infinity anywhere in a block makes its scale NaN or infinite, and so everything computed from it.
// Numbers  |x − scale·q| ≤ scale/2. Rows of a tile beyond the matrix are zeros.
import { arg } from '../simd.assembly';

/** Arguments: x, out, rows N, columns, R. Unit = one row, rows beyond N included up to a whole tile. */
export function quantizeRows(first: i32, last: i32): void {
  const columns = arg(3);
  const R: usize = arg(4);
  const blocks = columns >> 5;
  for (let n: usize = first; n < <usize>last; n++) {
    const lane = n % R;
    let out = arg(1) + (n / R) * blocks * 40 * R;
    const isReal = n < arg(2);
    let x = arg(0) + n * columns * 4;
    for (let b: usize = 0; b < blocks; b++, out += 40 * R, x += 128) {
      if (isReal) quantizeBlock(x, out + lane * 32, out + R * 32 + lane * 4, out + R * 36 + lane * 4);
      else {
        memory.fill(out + lane * 32, 0, 32);
        store<f32>(out + R * 32 + lane * 4, 0);
        store<u32>(out + R * 36 + lane * 4, 0);
      }
    }
  }
}

@inline
function quantizeBlock(x: usize, q: usize, scaleAt: usize, sumsAt: usize): void {
  const a = v128.load(x);
  const b = v128.load(x, 16);
  const c = v128.load(x, 32);
  const d = v128.load(x, 48);
  const e = v128.load(x, 64);
  const f = v128.load(x, 80);
  const g = v128.load(x, 96);
  const h = v128.load(x, 112);
  // magnitudes compare as integers do, with infinity above all numbers and NaN above infinity
  const m0 = i32x4.max_s(i32x4.max_s(magnitude(a), magnitude(b)), i32x4.max_s(magnitude(c), magnitude(d)));
  const m1 = i32x4.max_s(i32x4.max_s(magnitude(e), magnitude(f)), i32x4.max_s(magnitude(g), magnitude(h)));
  const m2 = i32x4.max_s(m0, m1);
  const m3 = i32x4.max_s(m2, v128.shuffle<i32>(m2, m2, 2, 3, 0, 1));
  const largest = f32x4.extract_lane(i32x4.max_s(m3, v128.shuffle<i32>(m3, m3, 1, 0, 3, 2)), 0);
  // The reciprocal of a subnormal maximum would overflow: such a block is zero to every sum it enters.
  const isTiny = largest < 1e-36;
  const scale: f32 = isTiny ? <f32>0 : largest / 127;
  const inverse = f32x4.splat(isTiny ? <f32>0 : <f32>127 / largest);
  store<f32>(scaleAt, scale);
  const low0 = i16x8.narrow_i32x4_s(rounded(a, inverse), rounded(b, inverse));
  const low1 = i16x8.narrow_i32x4_s(rounded(c, inverse), rounded(d, inverse));
  const high0 = i16x8.narrow_i32x4_s(rounded(e, inverse), rounded(f, inverse));
  const high1 = i16x8.narrow_i32x4_s(rounded(g, inverse), rounded(h, inverse));
  v128.store(q, i8x16.narrow_i16x8_s(low0, low1));
  v128.store(q, i8x16.narrow_i16x8_s(high0, high1), 16);
  store<i16>(sumsAt, <i16>sumOf(i16x8.add(low0, low1)));
  store<i16>(sumsAt, <i16>sumOf(i16x8.add(high0, high1)), 2);
}

@inline
function magnitude(x: v128): v128 {
  return v128.and(x, i32x4.splat(0x7fffffff));
}

/** x · inverse to the nearest integer, ties to even: next to 1.5 · 2²³ an f32 has no room for fractions. For |x · inverse| < 2²². */
@inline
function rounded(x: v128, inverse: v128): v128 {
  return i32x4.sub(f32x4.add(f32x4.mul(x, inverse), f32x4.splat(12582912)), i32x4.splat(0x4b400000));
}

@inline
function sumOf(x: v128): i32 {
  const pairs = i32x4.dot_i16x8_s(x, i16x8.splat(1));
  return (
    i32x4.extract_lane(pairs, 0) +
    i32x4.extract_lane(pairs, 1) +
    i32x4.extract_lane(pairs, 2) +
    i32x4.extract_lane(pairs, 3)
  );
}
