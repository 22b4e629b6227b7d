// The gradients of RMSNorm (formulas: backward.reference.ts). Unit = NORM_ROWS rows; each unit leaves its own part of dGain, and
// columnSums adds the parts up in order, so that the sum does not depend on who did what.
import { arg, argF32, sumLanes } from '../simd.assembly';
import { NORM_ROWS } from '../training-tasks';

/** Arguments: dx (0: not wanted), parts of dGain (0: not wanted), dy, x, gain, D, N, eps, add to dx. */
export function rmsNormBackward(first: i32, last: i32): void {
  const D = arg(5);
  const N = arg(6);
  for (let unit: usize = first; unit < <usize>last; unit++) {
    const part = arg(1) ? arg(1) + unit * D * 4 : 0;
    if (part) memory.fill(part, 0, D * 4);
    const end = min<usize>(N, (unit + 1) * NORM_ROWS);
    for (let n = unit * NORM_ROWS; n < end; n++) row(n * D * 4, D, part);
  }
}

function row(at: usize, D: usize, part: usize): void {
  const dy = arg(2) + at;
  const x = arg(3) + at;
  const gain = arg(4);
  const bytes = D * 4;
  const wide = bytes & ~15;
  let squares = f32x4.splat(0);
  let products = f32x4.splat(0);
  for (let d: usize = 0; d < wide; d += 16) {
    const value = v128.load(x + d);
    squares = f32x4.add(squares, f32x4.mul(value, value));
    products = f32x4.add(products, f32x4.mul(f32x4.mul(v128.load(dy + d), v128.load(gain + d)), value));
  }
  let sum = sumLanes(squares);
  let c = sumLanes(products);
  for (let d = wide; d < bytes; d += 4) {
    const value = load<f32>(x + d);
    sum += value * value;
    c += load<f32>(dy + d) * load<f32>(gain + d) * value;
  }
  const r = <f32>(1.0 / NativeMath.sqrt(<f64>sum / <f64>D + <f64>argF32(7)));
  const pull = (r * r * r * c) / <f32>D;
  const dx = arg(0) ? arg(0) + at : 0;
  const add = arg(8) != 0;
  const rs = f32x4.splat(r);
  const pulls = f32x4.splat(pull);
  for (let d: usize = 0; d < wide; d += 16) {
    const slope = f32x4.mul(rs, v128.load(dy + d));
    const value = v128.load(x + d);
    if (dx) {
      const own = f32x4.sub(f32x4.mul(slope, v128.load(gain + d)), f32x4.mul(pulls, value));
      v128.store(dx + d, add ? f32x4.add(own, v128.load(dx + d)) : own);
    }
    if (part) v128.store(part + d, f32x4.add(v128.load(part + d), f32x4.mul(slope, value)));
  }
  for (let d = wide; d < bytes; d += 4) {
    const slope = r * load<f32>(dy + d);
    const value = load<f32>(x + d);
    if (dx) {
      const own = slope * load<f32>(gain + d) - pull * value;
      store<f32>(dx + d, add ? own + load<f32>(dx + d) : own);
    }
    if (part) store<f32>(part + d, load<f32>(part + d) + slope * value);
  }
}

/** target_c (+)= Σ_r source_rc, in the order of r. Arguments: target, source, rows, columns, add. Unit = 16 columns. */
export function columnSums(first: i32, last: i32): void {
  const rows = arg(2);
  const columns = arg(3);
  for (let c: usize = <usize>first * 16; c < min<usize>(columns, <usize>last * 16); c++) {
    let sum: f32 = arg(4) ? load<f32>(arg(0) + c * 4) : 0;
    for (let r: usize = 0; r < rows; r++) sum += load<f32>(arg(1) + (r * columns + c) * 4);
    store<f32>(arg(0) + c * 4, sum);
  }
}
