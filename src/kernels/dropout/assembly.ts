// Random zeros by counters. Formula: reference.ts.
import { arg, argF32 } from '../simd.assembly';

const STRIDE: u32 = 0x9e3779b9;
const HEAD_STRIDE: u32 = 0x85ebca6b;

// @ts-expect-error: decorator
@inline
function mix(value: u32): u32 {
  let x = value;
  x = (x ^ (x >>> 16)) * 0x21f0aaad;
  x = (x ^ (x >>> 15)) * 0x735a2d97;
  return x ^ (x >>> 15);
}

// @ts-expect-error: decorator
@inline
function mix4(value: v128): v128 {
  let x = value;
  x = i32x4.mul(v128.xor(x, i32x4.shr_u(x, 16)), i32x4.splat(0x21f0aaad));
  x = i32x4.mul(v128.xor(x, i32x4.shr_u(x, 15)), i32x4.splat(0x735a2d97));
  return v128.xor(x, i32x4.shr_u(x, 15));
}

/** b of a row. */
export function dropoutRow(key: u32, token: u32, head: u32): u32 {
  return mix(mix(key + token * STRIDE) + head * HEAD_STRIDE);
}

/** x_s ← x_s · factor where r ≥ threshold, else 0, for the elements first, first + direction, …; `count` is a multiple of 4. */
export function dropoutInPlace(x: usize, count: usize, base: u32, first: u32, direction: i32, threshold: u32, factor: f32): void {
  const limits = i32x4.splat(threshold);
  const factors = f32x4.splat(factor);
  const step = <u32>direction * STRIDE;
  let numbers = i32x4.splat(base + first * STRIDE);
  numbers = i32x4.add(numbers, i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(step)));
  const next = i32x4.splat(4 * step);
  for (let s: usize = 0; s < count; s += 4) {
    const stays = i32x4.ge_u(mix4(numbers), limits);
    v128.store(x + s * 4, v128.and(stays, f32x4.mul(factors, v128.load(x + s * 4))));
    numbers = i32x4.add(numbers, next);
  }
}

/** y (+)= dropout(x). Arguments: y, x, columns, key, firstToken, threshold, factor (f32), add. Unit = one row. */
export function dropoutRows(first: i32, last: i32): void {
  const D = arg(2);
  const threshold = <u32>arg(5);
  const factor = argF32(6);
  const add = arg(7) != 0;
  const factors = f32x4.splat(factor);
  const limits = i32x4.splat(threshold);
  const next = i32x4.splat(4 * STRIDE);
  for (let n: usize = first; n < <usize>last; n++) {
    const x = arg(1) + n * D * 4;
    const y = arg(0) + n * D * 4;
    const base = dropoutRow(<u32>arg(3), <u32>arg(4) + <u32>n, 0);
    let numbers = i32x4.add(i32x4.splat(base), i32x4.mul(i32x4(0, 1, 2, 3), i32x4.splat(STRIDE)));
    let d: usize = 0;
    for (; d + 4 <= D; d += 4) {
      let value = v128.and(i32x4.ge_u(mix4(numbers), limits), f32x4.mul(factors, v128.load(x + d * 4)));
      if (add) value = f32x4.add(value, v128.load(y + d * 4));
      v128.store(y + d * 4, value);
      numbers = i32x4.add(numbers, next);
    }
    for (; d < D; d++) {
      let value: f32 = mix(base + <u32>d * STRIDE) >= threshold ? factor * load<f32>(x + d * 4) : 0;
      if (add) value += load<f32>(y + d * 4);
      store<f32>(y + d * 4, value);
    }
  }
}
