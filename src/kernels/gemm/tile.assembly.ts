// The register tile of attention's products in training: C[6 × 16] (+)= A · B over `count` steps of k. Twelve accumulators of 256 bits, two
// vectors of B and one number of A: what fifteen registers hold. An engine that does not join pairs has as many registers of
// 128 bits, and gets the tile in two halves of 6 × 8. Both add in the order of k and give the same bits.
import { madd } from '../simd.assembly';
import { CONTROL_WIDE } from '../training-tasks';

/** A and B anywhere: `aRow`, `aStep`, `bStep`, `cRow` are bytes from one row or step to the next. */
export function tile(
  c: usize,
  cRow: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  count: usize,
  add: bool,
): void {
  if (load<u32>(CONTROL_WIDE)) return wideTile(c, cRow, a, aRow, aStep, b, bStep, count, add);
  narrowTile(c, cRow, a, aRow, aStep, b, bStep, count, add);
  narrowTile(c + 32, cRow, a, aRow, aStep, b + 32, bStep, count, add);
}

/** C[6 × 16], for engines that join pairs. */
function wideTile(
  c: usize,
  cRow: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  count: usize,
  add: bool,
): void {
  let a1 = a + aRow;
  let a2 = a1 + aRow;
  let a3 = a2 + aRow;
  let a4 = a3 + aRow;
  let a5 = a4 + aRow;
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0), c02 = f32x4.splat(0), c03 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0), c12 = f32x4.splat(0), c13 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0), c22 = f32x4.splat(0), c23 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0), c32 = f32x4.splat(0), c33 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0), c42 = f32x4.splat(0), c43 = f32x4.splat(0);
  let c50 = f32x4.splat(0), c51 = f32x4.splat(0), c52 = f32x4.splat(0), c53 = f32x4.splat(0);
  for (let k: usize = 0; k < count; k++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let s = v128.load32_splat(a);
    c00 = madd(s, b0, c00);
    c01 = madd(s, b1, c01);
    c02 = madd(s, b2, c02);
    c03 = madd(s, b3, c03);
    s = v128.load32_splat(a1);
    c10 = madd(s, b0, c10);
    c11 = madd(s, b1, c11);
    c12 = madd(s, b2, c12);
    c13 = madd(s, b3, c13);
    s = v128.load32_splat(a2);
    c20 = madd(s, b0, c20);
    c21 = madd(s, b1, c21);
    c22 = madd(s, b2, c22);
    c23 = madd(s, b3, c23);
    s = v128.load32_splat(a3);
    c30 = madd(s, b0, c30);
    c31 = madd(s, b1, c31);
    c32 = madd(s, b2, c32);
    c33 = madd(s, b3, c33);
    s = v128.load32_splat(a4);
    c40 = madd(s, b0, c40);
    c41 = madd(s, b1, c41);
    c42 = madd(s, b2, c42);
    c43 = madd(s, b3, c43);
    s = v128.load32_splat(a5);
    c50 = madd(s, b0, c50);
    c51 = madd(s, b1, c51);
    c52 = madd(s, b2, c52);
    c53 = madd(s, b3, c53);
    a += aStep;
    a1 += aStep;
    a2 += aStep;
    a3 += aStep;
    a4 += aStep;
    a5 += aStep;
    b += bStep;
  }
  put4(c, c00, c01, c02, c03, add);
  put4(c + cRow, c10, c11, c12, c13, add);
  put4(c + 2 * cRow, c20, c21, c22, c23, add);
  put4(c + 3 * cRow, c30, c31, c32, c33, add);
  put4(c + 4 * cRow, c40, c41, c42, c43, add);
  put4(c + 5 * cRow, c50, c51, c52, c53, add);
}

/** C[6 × 8]. */
function narrowTile(
  c: usize,
  cRow: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  bStep: usize,
  count: usize,
  add: bool,
): void {
  let a1 = a + aRow;
  let a2 = a1 + aRow;
  let a3 = a2 + aRow;
  let a4 = a3 + aRow;
  let a5 = a4 + aRow;
  let c00 = f32x4.splat(0), c01 = f32x4.splat(0);
  let c10 = f32x4.splat(0), c11 = f32x4.splat(0);
  let c20 = f32x4.splat(0), c21 = f32x4.splat(0);
  let c30 = f32x4.splat(0), c31 = f32x4.splat(0);
  let c40 = f32x4.splat(0), c41 = f32x4.splat(0);
  let c50 = f32x4.splat(0), c51 = f32x4.splat(0);
  for (let k: usize = 0; k < count; k++) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let s = v128.load32_splat(a);
    c00 = madd(s, b0, c00);
    c01 = madd(s, b1, c01);
    s = v128.load32_splat(a1);
    c10 = madd(s, b0, c10);
    c11 = madd(s, b1, c11);
    s = v128.load32_splat(a2);
    c20 = madd(s, b0, c20);
    c21 = madd(s, b1, c21);
    s = v128.load32_splat(a3);
    c30 = madd(s, b0, c30);
    c31 = madd(s, b1, c31);
    s = v128.load32_splat(a4);
    c40 = madd(s, b0, c40);
    c41 = madd(s, b1, c41);
    s = v128.load32_splat(a5);
    c50 = madd(s, b0, c50);
    c51 = madd(s, b1, c51);
    a += aStep;
    a1 += aStep;
    a2 += aStep;
    a3 += aStep;
    a4 += aStep;
    a5 += aStep;
    b += bStep;
  }
  put2(c, c00, c01, add);
  put2(c + cRow, c10, c11, add);
  put2(c + 2 * cRow, c20, c21, add);
  put2(c + 3 * cRow, c30, c31, add);
  put2(c + 4 * cRow, c40, c41, add);
  put2(c + 5 * cRow, c50, c51, add);
}

// @ts-expect-error: decorator
@inline
function put4(c: usize, c0: v128, c1: v128, c2: v128, c3: v128, add: bool): void {
  if (add) {
    c0 = f32x4.add(c0, v128.load(c));
    c1 = f32x4.add(c1, v128.load(c, 16));
    c2 = f32x4.add(c2, v128.load(c, 32));
    c3 = f32x4.add(c3, v128.load(c, 48));
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
  v128.store(c, c2, 32);
  v128.store(c, c3, 48);
}

// @ts-expect-error: decorator
@inline
function put2(c: usize, c0: v128, c1: v128, add: bool): void {
  if (add) {
    c0 = f32x4.add(c0, v128.load(c));
    c1 = f32x4.add(c1, v128.load(c, 16));
  }
  v128.store(c, c0);
  v128.store(c, c1, 16);
}

