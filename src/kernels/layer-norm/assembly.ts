// LayerNorm and its gradients, for the lab (formulas: reference.ts, backward.reference.ts). Sums are f32 in eight parts, folded in a
// fixed order. Backward: unit = NORM_ROWS rows; each leaves its parts of dGain and dShift, which columnSums adds in order.
import { arg, argF32, sumLanes } from '../simd.assembly';
import { NORM_ROWS } from '../training-tasks';

function rowSum(x: usize, bytes: usize): f32 {
  const wide = bytes & ~31;
  let s0 = f32x4.splat(0), s1 = s0;
  for (let d: usize = 0; d < wide; d += 32) {
    s0 = f32x4.add(s0, v128.load(x + d));
    s1 = f32x4.add(s1, v128.load(x + d, 16));
  }
  let sum = sumLanes(f32x4.add(s0, s1));
  for (let d = wide; d < bytes; d += 4) sum += load<f32>(x + d);
  return sum;
}

function rowSquares(x: usize, bytes: usize, mean: f32): f32 {
  const wide = bytes & ~31;
  const m = f32x4.splat(mean);
  let s0 = f32x4.splat(0), s1 = s0;
  for (let d: usize = 0; d < wide; d += 32) {
    const x0 = f32x4.sub(v128.load(x + d), m), x1 = f32x4.sub(v128.load(x + d, 16), m);
    s0 = f32x4.add(s0, f32x4.mul(x0, x0));
    s1 = f32x4.add(s1, f32x4.mul(x1, x1));
  }
  let sum = sumLanes(f32x4.add(s0, s1));
  for (let d = wide; d < bytes; d += 4) sum += (load<f32>(x + d) - mean) * (load<f32>(x + d) - mean);
  return sum;
}

// @ts-expect-error: decorator
@inline
function scaleOf(squares: f32, D: usize, eps: f32): f32 {
  return <f32>(1.0 / NativeMath.sqrt(<f64>squares / <f64>D + <f64>eps));
}

/** Arguments: y, x, gain, shift, D, eps. Unit = one row. */
export function layerNorm(first: i32, last: i32): void {
  const D = arg(4);
  const gain = arg(2), shift = arg(3);
  const bytes = D * 4;
  const wide = bytes & ~31;
  for (let n: usize = first; n < <usize>last; n++) {
    const x = arg(1) + n * bytes;
    const y = arg(0) + n * bytes;
    const mean = rowSum(x, bytes) / <f32>D;
    const r = scaleOf(rowSquares(x, bytes, mean), D, argF32(5));
    const m = f32x4.splat(mean), rs = f32x4.splat(r);
    for (let d: usize = 0; d < wide; d += 32) {
      const z0 = f32x4.mul(f32x4.sub(v128.load(x + d), m), rs), z1 = f32x4.mul(f32x4.sub(v128.load(x + d, 16), m), rs);
      const y0 = f32x4.add(f32x4.mul(z0, v128.load(gain + d)), v128.load(shift + d));
      const y1 = f32x4.add(f32x4.mul(z1, v128.load(gain + d, 16)), v128.load(shift + d, 16));
      v128.store(y + d, y0);
      v128.store(y + d, y1, 16);
    }
    for (let d = wide; d < bytes; d += 4) {
      store<f32>(y + d, (load<f32>(x + d) - mean) * r * load<f32>(gain + d) + load<f32>(shift + d));
    }
  }
}

/** Arguments: dx (0: not wanted), parts of dGain, parts of dShift (0: not wanted), dy, x, gain, D, N, eps, add to dx. */
export function layerNormBackward(first: i32, last: i32): void {
  const bytes = arg(6) * 4;
  for (let unit: usize = first; unit < <usize>last; unit++) {
    const gains = arg(1) ? arg(1) + unit * bytes : 0;
    const shifts = arg(2) ? arg(2) + unit * bytes : 0;
    if (gains) memory.fill(gains, 0, bytes);
    if (shifts) memory.fill(shifts, 0, bytes);
    const end = min<usize>(arg(7), (unit + 1) * NORM_ROWS);
    for (let n = unit * NORM_ROWS; n < end; n++) backwardRow(n * bytes, bytes, gains, shifts);
  }
}

function backwardRow(at: usize, bytes: usize, gains: usize, shifts: usize): void {
  const D = bytes >> 2;
  const dy = arg(3) + at;
  const x = arg(4) + at;
  const gain = arg(5);
  const wide = bytes & ~15;
  const mean = rowSum(x, bytes) / <f32>D;
  const r = scaleOf(rowSquares(x, bytes, mean), D, argF32(8));
  const m = f32x4.splat(mean), rs = f32x4.splat(r);
  let g4 = f32x4.splat(0), gz4 = g4;
  for (let d: usize = 0; d < wide; d += 16) {
    const g = f32x4.mul(v128.load(dy + d), v128.load(gain + d));
    g4 = f32x4.add(g4, g);
    gz4 = f32x4.add(gz4, f32x4.mul(g, f32x4.mul(f32x4.sub(v128.load(x + d), m), rs)));
  }
  let sumG = sumLanes(g4), sumGz = sumLanes(gz4);
  for (let d = wide; d < bytes; d += 4) {
    const g = load<f32>(dy + d) * load<f32>(gain + d);
    sumG += g;
    sumGz += g * ((load<f32>(x + d) - mean) * r);
  }
  const base = sumG / <f32>D, pull = sumGz / <f32>D;
  const dx = arg(0) ? arg(0) + at : 0;
  const add = arg(9) != 0;
  const bases = f32x4.splat(base), pulls = f32x4.splat(pull);
  for (let d: usize = 0; d < wide; d += 16) {
    const slope = v128.load(dy + d);
    const z = f32x4.mul(f32x4.sub(v128.load(x + d), m), rs);
    if (dx) {
      const g = f32x4.sub(f32x4.sub(f32x4.mul(slope, v128.load(gain + d)), bases), f32x4.mul(pulls, z));
      const own = f32x4.mul(rs, g);
      v128.store(dx + d, add ? f32x4.add(own, v128.load(dx + d)) : own);
    }
    if (gains) v128.store(gains + d, f32x4.add(v128.load(gains + d), f32x4.mul(slope, z)));
    if (shifts) v128.store(shifts + d, f32x4.add(v128.load(shifts + d), slope));
  }
  for (let d = wide; d < bytes; d += 4) {
    const slope = load<f32>(dy + d);
    const z = (load<f32>(x + d) - mean) * r;
    if (dx) {
      const own = r * (slope * load<f32>(gain + d) - base - pull * z);
      store<f32>(dx + d, add ? own + load<f32>(dx + d) : own);
    }
    if (gains) store<f32>(gains + d, load<f32>(gains + d) + slope * z);
    if (shifts) store<f32>(shifts + d, load<f32>(shifts + d) + slope);
  }
}
