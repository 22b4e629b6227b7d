import type { Floats } from '../../tensor/tensor.ts';

/**
 * Adds the gradient of the rotation: its transpose, which for a rotation by θ is the rotation by −θ.
 *
 *   (dx_2e, dx_2e+1) += (dy_2e·cos + dy_2e+1·sin,  dy_2e+1·cos − dy_2e·sin)
 *
 * Shapes   dx_NQ, dy_NQ with Q = heads · E; rotation_NE
 */
export function ropeBackward(dx_NQ: Floats, dy_NQ: Floats, rotation_NE: Floats, N: number, E: number): void {
  const Q = dx_NQ.length / N;
  for (let n = 0; n < N; n++) {
    for (let q = 0; q < Q; q += 2) {
      const cos = rotation_NE[n * E + (q % E)]!;
      const sin = rotation_NE[n * E + (q % E) + 1]!;
      const a = dy_NQ[n * Q + q]!;
      const b = dy_NQ[n * Q + q + 1]!;
      dx_NQ[n * Q + q]! += a * cos + b * sin;
      dx_NQ[n * Q + q + 1]! += b * cos - a * sin;
    }
  }
}
