// `linear` over int8 activations: y_no = Σ_blocks scale_o · scale_n · Σ_i q_oi · q_ni − minima. See layout and quantize for the two operands.
//
// Within a block everything is integer and exact. Floats: per block t = (sum of integer products, sub-block scales included),
//   small blocks   acc = acc + f32(t)·(d·dx) [+ m·xs]                 xs = dx · f32(Σq)
//   super-blocks   A = A + f32(t)·dx,  B = B + f32(m)·xs;  acc = acc + (d·A − dmin·B) after every 8 blocks
// with plain multiplications and additions (never fused), block after block. So one activation row (GEMV) and four (GEMM), any thread
// count, relaxed and plain SIMD: the same bits.
// Cost  2·8·32 integer operations per block and row; at N = 1 bound by reading the weights.
import { arg, dotPairs, scalesF16 } from '../simd.assembly';
import {
  PACK_Q2_K,
  PACK_Q3_K,
  PACK_Q4_0,
  PACK_Q4_1,
  PACK_Q4_K,
  PACK_Q5_0,
  PACK_Q5_1,
  PACK_Q5_K,
  PACK_Q6_K,
  PACK_Q8_0,
} from '../tasks';
import {
  hasMinPlane,
  hasSuperMin,
  highAt,
  highBytes,
  isSuper,
  lowBytes,
  minAt,
  offsetOf,
  panelBytes,
  scaleAt,
  superAt,
  superMinAt,
} from './layout.assembly';

/** Arguments: kind, packed w, columns, rows of w (O), x (tiles), N, R, y, bias (0: none). Unit = one panel. */
export function linearQuantized(first: i32, last: i32): void {
  const kind = <i32>arg(0);
  const bytes = panelBytes(kind, arg(2));
  const blocks = arg(2) >> 5;
  const N = arg(5);
  const R: usize = arg(6);
  const tileBytes = blocks * 40 * R;
  for (let panel: usize = first; panel < <usize>last; panel++) {
    const w = arg(1) + panel * bytes;
    for (let n: usize = 0; n < N; n += R) {
      const x = arg(4) + (n / R) * tileBytes;
      for (let lane: usize = 0; lane < R && n + lane < N; lane++) {
        begin(panel, n + lane);
        dispatch(kind, w, x, lane, R, blocks);
      }
    }
  }
}
let yAt: usize = 0;
let biasAt: usize = 0;
let rowsLeft: i32 = 0;

/** Says where the next 8 results go. */
@inline
function begin(panel: usize, n: usize): void {
  const O = arg(3);
  yAt = arg(7) + (n * O + panel * 8) * 4;
  biasAt = arg(8) == 0 ? 0 : arg(8) + panel * 32;
  rowsLeft = <i32>O - <i32>panel * 8;
}

function dispatch(kind: i32, w: usize, x: usize, lane: usize, R: usize, blocks: usize): void {
  switch (kind) {
    case PACK_Q4_0:
      return one(PACK_Q4_0, w, x, lane, R, blocks);
    case PACK_Q4_1:
      return one(PACK_Q4_1, w, x, lane, R, blocks);
    case PACK_Q5_0:
      return one(PACK_Q5_0, w, x, lane, R, blocks);
    case PACK_Q5_1:
      return one(PACK_Q5_1, w, x, lane, R, blocks);
    case PACK_Q2_K:
      return one(PACK_Q2_K, w, x, lane, R, blocks);
    case PACK_Q3_K:
      return one(PACK_Q3_K, w, x, lane, R, blocks);
    case PACK_Q4_K:
      return one(PACK_Q4_K, w, x, lane, R, blocks);
    case PACK_Q5_K:
      return one(PACK_Q5_K, w, x, lane, R, blocks);
    case PACK_Q6_K:
      return one(PACK_Q6_K, w, x, lane, R, blocks);
    default:
      return one(PACK_Q8_0, w, x, lane, R, blocks);
  }
}

/** 8 rows × 1 activation row. */
@inline
function one(kind: i32, w: usize, tile: usize, lane: usize, R: usize, blocks: usize): void {
  let low = w;
  let high = w + highAt(kind, blocks);
  let scales = w + scaleAt(kind, blocks);
  let minima = w + minAt(kind, blocks);
  let supers = w + superAt(kind, blocks);
  let superMinima = w + superMinAt(kind, blocks);
  let x = tile + lane * 32;
  let xScale = tile + R * 32 + lane * 4;
  let xSums = tile + R * 36 + lane * 4;
  const xStep = R * 40;
  const mask = i8x16.splat(15);
  let acc0 = f32x4.splat(0);
  let acc1 = f32x4.splat(0);
  let A0 = f32x4.splat(0);
  let A1 = f32x4.splat(0);
  let B0 = f32x4.splat(0);
  let B1 = f32x4.splat(0);
  for (let b: usize = 0; b < blocks; b++) {
    // integer products of the low nibbles' groups (l) and the high nibbles' groups (h)
    let l0 = i16x8.splat(0);
    let l1 = i16x8.splat(0);
    let h0 = i16x8.splat(0);
    let h1 = i16x8.splat(0);
    let t0: v128;
    let t1: v128;
    const sums = v128.load32_splat(xSums);
    if (kind == PACK_Q8_0) {
      for (let j: usize = 0; j < 8; j++, low += 32, x += 4) {
        const xs = v128.load32_splat(x);
        const p = v128.load(low);
        const q = v128.load(low, 16);
        l0 = i16x8.add(l0, dotPairs(xs, v128.and(p, mask)));
        l1 = i16x8.add(l1, dotPairs(xs, v128.and(q, mask)));
        h0 = i16x8.add(h0, dotPairs(xs, v128.and(i16x8.shr_u(p, 4), mask)));
        h1 = i16x8.add(h1, dotPairs(xs, v128.and(i16x8.shr_u(q, 4), mask)));
      }
      x -= 32;
      const offset = i32x4.dot_i16x8_s(sums, i16x8.splat(128));
      t0 = i32x4.sub(i32x4.add(widen(l0, 1), widen(h0, 16)), offset);
      t1 = i32x4.sub(i32x4.add(widen(l1, 1), widen(h1, 16)), offset);
    } else {
      // sub-block scales: (sc0, sc1) or (sc, m) of each row, as i16 pairs
      let pair0 = i16x8.splat(0);
      let pair1 = i16x8.splat(0);
      if (kind == PACK_Q6_K || kind == PACK_Q3_K) {
        pair0 = v128.load8x8_s(scales);
        pair1 = v128.load8x8_s(scales, 8);
      } else if (isSuper(kind)) {
        pair0 = v128.load8x8_u(scales);
        pair1 = v128.load8x8_u(scales, 8);
      }
      t0 = i32x4.splat(0);
      t1 = i32x4.splat(0);
      for (let j: usize = 0; j < 4; j++, low += 32, x += 4) {
        const xl = v128.load32_splat(x);
        const xh = v128.load32_splat(x, 16);
        const p = v128.load(low);
        const q = v128.load(low, 16);
        l0 = i16x8.add(l0, dotPairs(xl, v128.or(v128.and(p, mask), highBits(kind, high, j, 0))));
        l1 = i16x8.add(l1, dotPairs(xl, v128.or(v128.and(q, mask), highBits(kind, high, j, 16))));
        h0 = i16x8.add(h0, dotPairs(xh, v128.or(v128.and(i16x8.shr_u(p, 4), mask), highBits(kind, high, j + 4, 0))));
        h1 = i16x8.add(h1, dotPairs(xh, v128.or(v128.and(i16x8.shr_u(q, 4), mask), highBits(kind, high, j + 4, 16))));
        if (kind == PACK_Q6_K && j == 1) {
          // 2·2·63·127 is all that an i16 holds
          t0 = i32x4.add(i32x4.dot_i16x8_s(l0, firstOf(pair0)), i32x4.dot_i16x8_s(h0, secondOf(pair0)));
          t1 = i32x4.add(i32x4.dot_i16x8_s(l1, firstOf(pair1)), i32x4.dot_i16x8_s(h1, secondOf(pair1)));
          l0 = i16x8.splat(0);
          l1 = i16x8.splat(0);
          h0 = i16x8.splat(0);
          h1 = i16x8.splat(0);
        }
      }
      x -= 16;
      if (kind == PACK_Q6_K || kind == PACK_Q3_K || kind == PACK_Q2_K) {
        t0 = i32x4.add(t0, i32x4.add(i32x4.dot_i16x8_s(l0, firstOf(pair0)), i32x4.dot_i16x8_s(h0, secondOf(pair0))));
        t1 = i32x4.add(t1, i32x4.add(i32x4.dot_i16x8_s(l1, firstOf(pair1)), i32x4.dot_i16x8_s(h1, secondOf(pair1))));
        if (offsetOf(kind) != 0) {
          const offsets = i16x8.mul(sums, i16x8.splat(1));
          t0 = i32x4.sub(t0, i32x4.mul(i32x4.dot_i16x8_s(pair0, offsets), i32x4.splat(offsetOf(kind))));
          t1 = i32x4.sub(t1, i32x4.mul(i32x4.dot_i16x8_s(pair1, offsets), i32x4.splat(offsetOf(kind))));
        }
      } else if (kind == PACK_Q4_K || kind == PACK_Q5_K) {
        t0 = i32x4.add(i32x4.dot_i16x8_s(l0, firstOf(pair0)), i32x4.dot_i16x8_s(h0, firstOf(pair0)));
        t1 = i32x4.add(i32x4.dot_i16x8_s(l1, firstOf(pair1)), i32x4.dot_i16x8_s(h1, firstOf(pair1)));
      } else {
        const offset = i32x4.dot_i16x8_s(sums, i16x8.splat(<i16>offsetOf(kind)));
        t0 = i32x4.sub(i32x4.add(widen(l0, 1), widen(h0, 1)), offset);
        t1 = i32x4.sub(i32x4.add(widen(l1, 1), widen(h1, 1)), offset);
      }
      if (kind == PACK_Q4_K || kind == PACK_Q5_K) {
        const xs = xSum(sums, xScale);
        B0 = f32x4.add(B0, f32x4.mul(f32x4.convert_i32x4_u(i32x4.shr_u(pair0, 16)), xs));
        B1 = f32x4.add(B1, f32x4.mul(f32x4.convert_i32x4_u(i32x4.shr_u(pair1, 16)), xs));
      } else if (kind == PACK_Q2_K) {
        const dx = v128.load32_splat(xScale);
        const m0 = i32x4.dot_i16x8_s(v128.load8x8_u(minima), sums);
        const m1 = i32x4.dot_i16x8_s(v128.load8x8_u(minima, 8), sums);
        B0 = f32x4.add(B0, f32x4.mul(f32x4.convert_i32x4_s(m0), dx));
        B1 = f32x4.add(B1, f32x4.mul(f32x4.convert_i32x4_s(m1), dx));
      }
    }
    const dx = v128.load32_splat(xScale);
    if (isSuper(kind)) {
      A0 = f32x4.add(A0, f32x4.mul(f32x4.convert_i32x4_s(t0), dx));
      A1 = f32x4.add(A1, f32x4.mul(f32x4.convert_i32x4_s(t1), dx));
      if ((b & 7) == 7) {
        A0 = f32x4.mul(A0, scalesF16(v128.load16x4_s(supers)));
        A1 = f32x4.mul(A1, scalesF16(v128.load16x4_s(supers, 8)));
        if (hasSuperMin(kind)) {
          A0 = f32x4.sub(A0, f32x4.mul(B0, scalesF16(v128.load16x4_s(superMinima))));
          A1 = f32x4.sub(A1, f32x4.mul(B1, scalesF16(v128.load16x4_s(superMinima, 8))));
          B0 = f32x4.splat(0);
          B1 = f32x4.splat(0);
        }
        acc0 = f32x4.add(acc0, A0);
        acc1 = f32x4.add(acc1, A1);
        A0 = f32x4.splat(0);
        A1 = f32x4.splat(0);
        supers += 16;
        superMinima += 16;
      }
    } else {
      const d0 = scalesF16(v128.load16x4_s(scales));
      const d1 = scalesF16(v128.load16x4_s(scales, 8));
      acc0 = f32x4.add(acc0, f32x4.mul(f32x4.convert_i32x4_s(t0), f32x4.mul(d0, dx)));
      acc1 = f32x4.add(acc1, f32x4.mul(f32x4.convert_i32x4_s(t1), f32x4.mul(d1, dx)));
      if (hasMinPlane(kind)) {
        const xs = xSum(sums, xScale);
        acc0 = f32x4.add(acc0, f32x4.mul(scalesF16(v128.load16x4_s(minima)), xs));
        acc1 = f32x4.add(acc1, f32x4.mul(scalesF16(v128.load16x4_s(minima, 8)), xs));
      }
    }
    scales += 16;
    minima += 16;
    high += highBytes(kind);
    x += xStep;
    xScale += xStep;
    xSums += xStep;
  }
  storeEight(acc0, acc1, yAt, biasAt, rowsLeft);
}

/** Σ of neighbouring i16 pairs, times a factor: i32 × 4. */
@inline
export function widen(pairs: v128, factor: i16): v128 {
  return i32x4.dot_i16x8_s(pairs, i16x8.splat(factor));
}

/** (a, b) i16 pairs → (a, a). */
@inline
export function firstOf(pairs: v128): v128 {
  return v128.or(v128.and(pairs, i32x4.splat(0xffff)), i32x4.shl(pairs, 16));
}
/** (a, b) i16 pairs → (b, b). */
@inline
export function secondOf(pairs: v128): v128 {
  return v128.or(v128.and(pairs, i32x4.splat(<i32>0xffff0000)), i32x4.shr_u(pairs, 16));
}

/** scale · Σq of an activation block, in all lanes. */
@inline
export function xSum(sums: v128, xScale: usize): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(i32x4.dot_i16x8_s(sums, i16x8.splat(1))), v128.load32_splat(xScale));
}

/** The high bits of group g's 4 rows at `at` bytes into the pair, shifted to where they belong. */
@inline
function highBits(kind: i32, high: usize, g: usize, at: usize): v128 {
  if (highBytes(kind) == 0) return i32x4.splat(0);
  if (kind == PACK_Q6_K) {
    const bits = v128.load(high + (g >> 2) * 32 + at);
    return i16x8.shl(v128.and(i16x8.shr_u(bits, <i32>(2 * (g & 3))), i8x16.splat(3)), 4);
  }
  return i16x8.shl(v128.and(i16x8.shr_u(v128.load(high + at), <i32>g), i8x16.splat(1)), 4);
}

/** Writes 8 results, or as many rows as the matrix still has. */
@inline
export function storeEight(acc0: v128, acc1: v128, y: usize, bias: usize, rows: i32): void {
  if (rows >= 8) {
    if (bias != 0) {
      acc0 = f32x4.add(acc0, v128.load(bias));
      acc1 = f32x4.add(acc1, v128.load(bias, 16));
    }
    v128.store(y, acc0);
    v128.store(y, acc1, 16);
  } else storeSome(acc0, acc1, y, bias, rows);
}

function storeSome(acc0: v128, acc1: v128, y: usize, bias: usize, rows: i32): void {
  let lanes = acc0;
  for (let r = 0; r < rows; r++) {
    if (r == 4) lanes = acc1;
    store<f32>(y + (r << 2), f32x4.extract_lane(lanes, 0) + (bias == 0 ? <f32>0 : load<f32>(bias + (r << 2))));
    lanes = v128.shuffle<f32>(lanes, lanes, 1, 2, 3, 0);
  }
}
