/** Rotates neighbouring pairs. What it computes: reference.ts; `sign` −1: backward.reference.ts. An invocation a pair. */
import { elementwise } from '../wgsl.ts';

export const rope = elementwise({
  name: 'rope',
  parameters: { Q: 'u32', E: 'u32', sign: 'f32', adds: 'u32' },
  inputs: { x_NQ: 'f32', rotation_NE: 'f32' },
  outputs: { y_NQ: 'f32' },
  body: `
  let n = 2u * i / Q;
  let q = 2u * i % Q;
  let angle = n * E + q % E;
  let cosine = rotation_NE[angle];
  let sine = sign * rotation_NE[angle + 1u];
  let a = x_NQ[2u * i];
  let b = x_NQ[2u * i + 1u];
  y_NQ[2u * i] = select(0.0, y_NQ[2u * i], adds != 0u) + a * cosine - b * sine;
  y_NQ[2u * i + 1u] = select(0.0, y_NQ[2u * i + 1u], adds != 0u) + a * sine + b * cosine;`,
});
