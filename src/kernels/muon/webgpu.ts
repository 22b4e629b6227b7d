/** What Muon does element by element, and sums of squares. What they compute: reference.ts. The products: gemm/webgpu.ts. */
import { elementwise, kernel, sumGroup } from '../wgsl.ts';

const WORKGROUP = 256;
/** Numbers that a workgroup of sumPart adds up. */
export const SUM_NUMBERS = WORKGROUP * 32;

/** y_group = or += Σ x² (squared) or Σ x over a workgroup's part of x. */
export const sumPart = kernel({
  name: 'sumPart',
  workgroup: WORKGROUP,
  parameters: { count: 'u32', squared: 'u32', at: 'u32' },
  inputs: { x: 'f32' },
  outputs: { y: 'f32' },
  declarations: sumGroup(WORKGROUP),
  body: `
  var sum = 0.0;
  for (var k = 0u; k < ${SUM_NUMBERS / WORKGROUP}u; k++) {
    let i = group * ${SUM_NUMBERS}u + k * ${WORKGROUP}u + lane;
    if (i < count) { sum += select(x[i], x[i] * x[i], squared != 0u); }
  }
  let total = sumGroup(sum, lane);
  if (lane == 0u) { y[at + group] = total; }`,
});

/** m ← μ m + (1 − μ) g, u = μ m + (1 − μ) g */
export const momentum = elementwise({
  name: 'muon, momentum',
  parameters: { momentum: 'f32', rest: 'f32', gradientScale: 'f32' },
  inputs: { g: 'f32' },
  outputs: { m: 'f32', u: 'f32' },
  body: `
  let gradient = g[i] * gradientScale;
  let mean = momentum * m[i] + rest * gradient;
  m[i] = mean;
  u[i] = momentum * mean + rest * gradient;`,
});

/** y = x / (√squares + 1e-7) */
export const normalize = elementwise({
  name: 'muon, normalize',
  inputs: { x: 'f32', squares: 'f32' },
  outputs: { y: 'f32' },
  body: '  y[i] = x[i] / (sqrt(squares[0]) + 1e-7);',
});

/** z = a · x + b · y; with a written to p: p ← a · p + b · y */
export const combine = elementwise({
  name: 'combine',
  parameters: { a: 'f32', b: 'f32' },
  inputs: { y: 'f32' },
  outputs: { z: 'f32' },
  body: '  z[i] = a * z[i] + b * y[i];',
});
