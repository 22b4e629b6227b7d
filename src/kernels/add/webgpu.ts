/** Sums and multiples, element by element and by columns. What they compute: reference.ts, backward.reference.ts. */
import { elementwise } from '../wgsl.ts';

export const add = elementwise({
  name: 'add',
  inputs: { x_ND: 'f32', y_ND: 'f32' },
  outputs: { z_ND: 'f32' },
  body: '  z_ND[i] = x_ND[i] + y_ND[i];',
});

/** y = factor · x, or y += factor · x */
export const accumulate = elementwise({
  name: 'accumulate',
  parameters: { factor: 'f32', adds: 'u32' },
  inputs: { x: 'f32' },
  outputs: { y: 'f32' },
  body: '  y[i] = select(0.0, y[i], adds != 0u) + factor * x[i];',
});

/** y_i = value */
export const fill = elementwise({
  name: 'fill',
  parameters: { value: 'f32' },
  inputs: {},
  outputs: { y: 'f32' },
  body: '  y[i] = value;',
});

/** Rows that one invocation of columnSums adds up. */
export const COLUMN_SUM_ROWS = 64;

/** y_cd = or += Σ x_nd over the c-th COLUMN_SUM_ROWS rows n: partial sums, which the same kernel adds up in turn. */
export const columnSums = elementwise({
  name: 'columnSums',
  parameters: { N: 'u32', D: 'u32', adds: 'u32' },
  inputs: { x_ND: 'f32' },
  outputs: { y_CD: 'f32' },
  body: `
  let first = (i / D) * ${COLUMN_SUM_ROWS}u;
  var sum = 0.0;
  for (var n = first; n < min(N, first + ${COLUMN_SUM_ROWS}u); n++) { sum += x_ND[n * D + i % D]; }
  y_CD[i] = select(0.0, y_CD[i], adds != 0u) + sum;`,
});
