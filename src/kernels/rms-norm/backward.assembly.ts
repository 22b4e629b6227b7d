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
  const wide = bytes & ~31;
  let squares0 = f32x4.splat(0), squares1 = squares0;
  let products0 = f32x4.splat(0), products1 = products0;
  for (let d: usize = 0; d < wide; d += 32) {
    const x0 = v128.load(x + d), x1 = v128.load(x + d, 16);
    squares0 = f32x4.add(squares0, f32x4.mul(x0, x0));
    squares1 = f32x4.add(squares1, f32x4.mul(x1, x1));
    products0 = f32x4.add(products0, f32x4.mul(f32x4.mul(v128.load(dy + d), v128.load(gain + d)), x0));
    products1 = f32x4.add(products1, f32x4.mul(f32x4.mul(v128.load(dy + d, 16), v128.load(gain + d, 16)), x1));
  }
  let sum = sumLanes(f32x4.add(squares0, squares1));
  let c = sumLanes(f32x4.add(products0, products1));
  for (let d = wide; d < bytes; d += 4) {
    const value = load<f32>(x + d);
    sum += value * value;
    c += load<f32>(dy + d) * load<f32>(gain + d) * value;
  }
  const r = <f32>(1.0 / NativeMath.sqrt(<f64>sum / <f64>D + <f64>argF32(7)));
  const pull = (r * r * r * c) / <f32>D;
  if (part) addGain(part, dy, x, r, wide, bytes);
  if (arg(0)) {
    if (arg(8)) addSlopes(arg(0) + at, dy, x, gain, r, pull, wide, bytes);
    else setSlopes(arg(0) + at, dy, x, gain, r, pull, wide, bytes);
  }
}

/** dx = r · gain · dy − pull · x */
function setSlopes(dx: usize, dy: usize, x: usize, gain: usize, r: f32, pull: f32, wide: usize, bytes: usize): void {
  const rs = f32x4.splat(r);
  const pulls = f32x4.splat(pull);
  for (let d: usize = 0; d < wide; d += 32) {
    const g0 = f32x4.mul(f32x4.mul(rs, v128.load(dy + d)), v128.load(gain + d));
    const g1 = f32x4.mul(f32x4.mul(rs, v128.load(dy + d, 16)), v128.load(gain + d, 16));
    const own0 = f32x4.sub(g0, f32x4.mul(pulls, v128.load(x + d)));
    const own1 = f32x4.sub(g1, f32x4.mul(pulls, v128.load(x + d, 16)));
    v128.store(dx + d, own0);
    v128.store(dx + d, own1, 16);
  }
  for (let d = wide; d < bytes; d += 4) {
    store<f32>(dx + d, r * load<f32>(dy + d) * load<f32>(gain + d) - pull * load<f32>(x + d));
  }
}

function addSlopes(dx: usize, dy: usize, x: usize, gain: usize, r: f32, pull: f32, wide: usize, bytes: usize): void {
  const rs = f32x4.splat(r);
  const pulls = f32x4.splat(pull);
  for (let d: usize = 0; d < wide; d += 32) {
    const g0 = f32x4.mul(f32x4.mul(rs, v128.load(dy + d)), v128.load(gain + d));
    const g1 = f32x4.mul(f32x4.mul(rs, v128.load(dy + d, 16)), v128.load(gain + d, 16));
    const own0 = f32x4.sub(g0, f32x4.mul(pulls, v128.load(x + d)));
    const own1 = f32x4.sub(g1, f32x4.mul(pulls, v128.load(x + d, 16)));
    const sum0 = f32x4.add(own0, v128.load(dx + d)), sum1 = f32x4.add(own1, v128.load(dx + d, 16));
    v128.store(dx + d, sum0);
    v128.store(dx + d, sum1, 16);
  }
  for (let d = wide; d < bytes; d += 4) {
    const own = r * load<f32>(dy + d) * load<f32>(gain + d) - pull * load<f32>(x + d);
    store<f32>(dx + d, own + load<f32>(dx + d));
  }
}

/** part += r · dy · x */
function addGain(part: usize, dy: usize, x: usize, r: f32, wide: usize, bytes: usize): void {
  const rs = f32x4.splat(r);
  for (let d: usize = 0; d < wide; d += 32) {
    const own0 = f32x4.mul(f32x4.mul(rs, v128.load(dy + d)), v128.load(x + d));
    const own1 = f32x4.mul(f32x4.mul(rs, v128.load(dy + d, 16)), v128.load(x + d, 16));
    const sum0 = f32x4.add(v128.load(part + d), own0), sum1 = f32x4.add(v128.load(part + d, 16), own1);
    v128.store(part + d, sum0);
    v128.store(part + d, sum1, 16);
  }
  for (let d = wide; d < bytes; d += 4) {
    store<f32>(part + d, load<f32>(part + d) + r * load<f32>(dy + d) * load<f32>(x + d));
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
