import { assert } from '../../base/assert.ts';
import type { Floats } from '../../tensor/tensor.ts';
import type { RopeFrequencies } from '../ops.ts';

/**
 * The rotations of some positions: for pair e of position p, cos(p·ω_e)·m and sin(p·ω_e)·m, side by side. A pair of frequency 0 is
 * not part of what is rotated: 1 and 0. Where there is a growth, all are multiplied by its factor at p.
 *
 * Shapes   rotation_NE: columns 2e and 2e + 1 hold the cosine and the sine of pair e
 * Source   growth: Meta 2025, Llama 4, Ministral 3 (attention temperature), after Nakanishi 2025, arXiv:2501.19399.
 * Numbers  angles are f64: exact to f32 at every position that a model can reach.
 */
export function rotation(rotation_NE: Floats, positions_N: Uint32Array, frequencies: RopeFrequencies): void {
  const { inverse, magnitude, growth } = frequencies;
  const pairs = inverse.length;
  assert(
    rotation_NE.length === positions_N.length * pairs * 2,
    `rotation: holds ${rotation_NE.length} floats, expected N·E = ${positions_N.length}·${pairs * 2}`,
  );
  for (let n = 0; n < positions_N.length; n++) {
    const position = positions_N[n]!;
    const factor = growth ? 1 + growth.slope * Math.log1p(Math.floor((position + growth.offset) / growth.interval)) : 1;
    for (let e = 0; e < pairs; e++) {
      const angle = position * inverse[e]!;
      rotation_NE[(n * pairs + e) * 2] = factor * (inverse[e] === 0 ? 1 : magnitude * Math.cos(angle));
      rotation_NE[(n * pairs + e) * 2 + 1] = factor * magnitude * Math.sin(angle);
    }
  }
}

/**
 * Rotates neighbouring pairs of every head by its row's angles, so that q·k depends on the distance of their positions only.
 *
 *   (y_2e, y_2e+1) = (x_2e·cos − x_2e+1·sin,  x_2e·sin + x_2e+1·cos)
 *
 * Shapes   x_NQ, y_NQ with Q = heads · E; rotation_NE
 * Source   Su et al. 2021, arXiv:2104.09864 eq. 34; pairs as in Meta's model.py (apply_rotary_emb).
 */
export function rope(y_NQ: Floats, x_NQ: Floats, rotation_NE: Floats, N: number, E: number): void {
  const Q = x_NQ.length / N;
  assert(Q % E === 0, `rope: rows of ${Q} are no multiple of the head size ${E}`);
  for (let n = 0; n < N; n++) {
    for (let q = 0; q < Q; q += 2) {
      const cos = rotation_NE[n * E + (q % E)]!;
      const sin = rotation_NE[n * E + (q % E) + 1]!;
      const a = x_NQ[n * Q + q]!;
      const b = x_NQ[n * Q + q + 1]!;
      y_NQ[n * Q + q] = a * cos - b * sin;
      y_NQ[n * Q + q + 1] = a * sin + b * cos;
    }
  }
}
