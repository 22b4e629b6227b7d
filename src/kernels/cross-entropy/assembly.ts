// One row of logits → its loss and, in place, the gradient of weight · loss. Formula: reference.ts. Unit = one row.
import { arg, argF32, exp1, exp4, lnTwoHigh, lnTwoLow, sumLanes } from '../simd.assembly';

/** Arguments: logits, V, labels (i32), weights (f32), losses (f64), wantsGradient, zLoss (f32), penalties (f64; 0: none). */
export function crossEntropyRows(first: i32, last: i32): void {
  const V = arg(1);
  for (let n: usize = first; n < <usize>last; n++) {
    const z = arg(0) + n * V * 4;
    const label = load<i32>(arg(2) + n * 4);
    if (label < 0) {
      store<f64>(arg(4) + n * 8, 0);
      if (arg(7)) store<f64>(arg(7) + n * 8, 0);
      if (arg(5)) memory.fill(z, 0, V * 4);
      continue;
    }
    row(z, V, label, load<f32>(arg(3) + n * 4), n * 8);
  }
}

function row(z: usize, V: usize, label: usize, weight: f32, place: usize): void {
  const wide = V & ~15;
  const end = z + wide * 4;
  let tops0 = f32x4.splat(-Infinity), tops1 = tops0, tops2 = tops0, tops3 = tops0;
  for (let p = z; p < end; p += 64) {
    tops0 = f32x4.pmax(tops0, v128.load(p));
    tops1 = f32x4.pmax(tops1, v128.load(p, 16));
    tops2 = f32x4.pmax(tops2, v128.load(p, 32));
    tops3 = f32x4.pmax(tops3, v128.load(p, 48));
  }
  const tops = f32x4.pmax(f32x4.pmax(tops0, tops1), f32x4.pmax(tops2, tops3));
  let top = max(
    max(f32x4.extract_lane(tops, 0), f32x4.extract_lane(tops, 1)),
    max(f32x4.extract_lane(tops, 2), f32x4.extract_lane(tops, 3)),
  );
  for (let v = wide; v < V; v++) top = max(top, load<f32>(z + v * 4));
  const target = load<f32>(z + label * 4);
  const t = f32x4.splat(top);
  const high = lnTwoHigh(), low = lnTwoLow();
  let sums0 = f32x4.splat(0), sums1 = sums0;
  for (let p = z; p < end; p += 32) {
    const p0 = exp4(f32x4.sub(v128.load(p), t), high, low);
    const p1 = exp4(f32x4.sub(v128.load(p, 16), t), high, low);
    sums0 = f32x4.add(sums0, p0);
    sums1 = f32x4.add(sums1, p1);
    v128.store(p, p0);
    v128.store(p, p1, 16);
  }
  let sum = sumLanes(f32x4.add(sums0, sums1));
  for (let v = wide; v < V; v++) {
    const p = exp1(load<f32>(z + v * 4) - top);
    sum += p;
    store<f32>(z + v * 4, p);
  }
  const logSum = <f64>top + NativeMath.log(<f64>sum);
  store<f64>(arg(4) + place, logSum - <f64>target);
  if (arg(7)) store<f64>(arg(7) + place, <f64>argF32(6) * logSum * logSum);
  if (!arg(5)) return;
  const factor = arg(7) ? (weight * <f32>(1 + 2 * <f64>argF32(6) * logSum)) / sum : weight / sum;
  const f = f32x4.splat(factor);
  for (let p = z; p < end; p += 32) {
    const p0 = f32x4.mul(f, v128.load(p)), p1 = f32x4.mul(f, v128.load(p, 16));
    v128.store(p, p0);
    v128.store(p, p1, 16);
  }
  for (let v = wide; v < V; v++) store<f32>(z + v * 4, factor * load<f32>(z + v * 4));
  store<f32>(z + label * 4, load<f32>(z + label * 4) - weight);
}
