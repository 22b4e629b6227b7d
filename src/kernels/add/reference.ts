import type { Floats } from '../../tensor/tensor.ts';

/** The residual connection: z = x + y, element by element. */
export function add(z: Floats, x: Floats, y: Floats): void {
  for (let i = 0; i < z.length; i++) z[i] = x[i]! + y[i]!;
}

/**
 * Adds fixed positions: sines in the even columns, cosines in the odd ones, at geometric frequencies.
 *
 *   y_n,2i = x_n,2i + sin(p_n / 10000^(2i/D))        y_n,2i+1 = x_n,2i+1 + cos(p_n / 10000^(2i/D))
 *
 * Source   Vaswani et al. 2017, arXiv:1706.03762 §3.5.
 */
export function addSinusoids(y_ND: Floats, x_ND: Floats, positions_N: Uint32Array): void {
  const D = x_ND.length / Math.max(1, positions_N.length);
  for (let n = 0; n < positions_N.length; n++) {
    for (let d = 0; d < D; d++) {
      const angle = positions_N[n]! / 10000 ** ((d - (d % 2)) / D);
      y_ND[n * D + d] = x_ND[n * D + d]! + (d % 2 === 0 ? Math.sin(angle) : Math.cos(angle));
    }
  }
}
