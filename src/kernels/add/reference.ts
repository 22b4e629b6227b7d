import type { Floats } from '../../tensor/tensor.ts';
import type { SinusoidLayout } from '../ops.ts';

/** The residual connection: z = x + y, element by element. */
export function add(z: Floats, x: Floats, y: Floats): void {
  for (let i = 0; i < z.length; i++) z[i] = x[i]! + y[i]!;
}

/** y = factor · x */
export function scale(y: Floats, x: Floats, factor: number): void {
  for (let i = 0; i < x.length; i++) y[i] = factor * x[i]!;
}

/**
 * Adds fixed positions at geometric frequencies: sines in the even columns and cosines in the odd ones, or in halves.
 *
 *   angle_n,i = p_n / 10000^(2i/D)      interleaved: y_n,2i += sin, y_n,2i+1 += cos      halves: y_n,i += sin, y_n,D/2+i += cos
 *
 * Source   Vaswani et al. 2017, arXiv:1706.03762 §3.5; halves as in Marian.
 */
export function addSinusoids(y_ND: Floats, x_ND: Floats, positions_N: Uint32Array, layout: SinusoidLayout): void {
  const D = x_ND.length / Math.max(1, positions_N.length);
  const half = Math.ceil(D / 2);
  for (let n = 0; n < positions_N.length; n++) {
    for (let d = 0; d < D; d++) {
      const i = layout === 'interleaved' ? Math.floor(d / 2) : d % half;
      const isSine = layout === 'interleaved' ? d % 2 === 0 : d < half;
      const angle = positions_N[n]! / 10000 ** ((2 * i) / D);
      y_ND[n * D + d] = x_ND[n * D + d]! + (isSine ? Math.sin(angle) : Math.cos(angle));
    }
  }
}
