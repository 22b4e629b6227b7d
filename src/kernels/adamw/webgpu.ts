/** AdamW, an invocation a number. What it computes: reference.ts; `rate` and `rootCorrection` hold what depends on the step. */
import { elementwise } from '../wgsl.ts';

export const adamW = elementwise({
  name: 'adamW',
  parameters: {
    first: 'u32',
    kept: 'f32',
    rate: 'f32',
    rootCorrection: 'f32',
    beta1: 'f32',
    beta2: 'f32',
    rest1: 'f32',
    rest2: 'f32',
    eps: 'f32',
    gradientScale: 'f32',
  },
  inputs: { g: 'f32' },
  outputs: { p: 'f32', m: 'f32', v: 'f32' },
  body: `
  let gradient = g[first + i] * gradientScale;
  let mean = beta1 * m[i] + rest1 * gradient;
  let square = beta2 * v[i] + rest2 * gradient * gradient;
  m[i] = mean;
  v[i] = square;
  p[first + i] = p[first + i] * kept - rate * mean / (sqrt(square) / rootCorrection + eps);`,
});
