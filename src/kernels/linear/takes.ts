/** What every product with a placed matrix takes: W as it is packed, x, y, a bias or 0, and scratch for every thread. */
export const takesOfProduct = {
  w: 'pointer',
  columns: 'count',
  rows: 'count',
  x: 'pointer',
  y: 'pointer',
  bias: 'pointer',
  scratch: 'pointer',
  scratchBytes: 'count',
} as const;
