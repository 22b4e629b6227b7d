// What BatchNorm is made of (formulas: reference.ts, backward.reference.ts): sums over the rows of each column, and one pass that
// applies three numbers per column. The device computes those numbers, and with them the running statistics, in f64 between the two.
import { arg } from '../simd.assembly';

/**
 * For each column c, in f64 and in the order of rows: Σ x, or with `mean` Σ (x − mean_c)², or with `dy` Σ dy and Σ dy · (x − mean_c).
 * Arguments: x, rows, columns, mean (f64; 0: none), dy (0: none), sums (f64: two rows of `columns`). Unit = one column.
 */
export function columnMoments(first: i32, last: i32): void {
  const rows = arg(1);
  const row = arg(2) * 4;
  const dy = arg(4);
  for (let c: usize = first; c < <usize>last; c++) {
    const mean = arg(3) ? load<f64>(arg(3) + c * 8) : 0;
    let sum: f64 = 0, products: f64 = 0;
    for (let n: usize = 0, at = c * 4; n < rows; n++, at += row) {
      const x = <f64>load<f32>(arg(0) + at) - mean;
      if (dy) {
        sum += <f64>load<f32>(dy + at);
        products += <f64>load<f32>(dy + at) * x;
      } else sum += arg(3) ? x * x : x;
    }
    store<f64>(arg(5) + c * 8, sum);
    if (dy) store<f64>(arg(5) + (arg(2) + c) * 8, products);
  }
}

/**
 * y_c (+)= (x_c − centre_c) · scale_c + shift_c, or with `dy` y_c (+)= dy_c · outer_c + that. All per column, f64.
 * Arguments: y, x, columns, centre, scale, shift, dy (0: none), outer, add. Unit = one row.
 */
export function columnAffine(first: i32, last: i32): void {
  const columns = arg(2);
  const dy = arg(6);
  const add = arg(8) != 0;
  for (let n: usize = first; n < <usize>last; n++) {
    for (let c: usize = 0; c < columns; c++) {
      const at = (n * columns + c) * 4;
      let y = (<f64>load<f32>(arg(1) + at) - load<f64>(arg(3) + c * 8)) * load<f64>(arg(4) + c * 8);
      y += load<f64>(arg(5) + c * 8);
      if (dy) y += <f64>load<f32>(dy + at) * load<f64>(arg(7) + c * 8);
      store<f32>(arg(0) + at, <f32>(add ? y + <f64>load<f32>(arg(0) + at) : y));
    }
  }
}
