import type { Floats } from '../../tensor/tensor.ts';

/**
 * The k largest numbers of each row with their places, largest first; of equal numbers the one that comes first.
 *
 * Shapes   y_R2K: for each of the k its number, then its place. k ≤ V. x_RV
 * Numbers  NaN counts as larger than any number, so that whoever asks for the largest hears of it.
 */
export function largest(y_R2K: Floats, x_RV: Floats, R: number, k: number): void {
  const V = x_RV.length / R;
  const size = (x: number) => (Number.isNaN(x) ? Number.POSITIVE_INFINITY : x);
  for (let r = 0; r < R; r++) {
    const row = x_RV.subarray(r * V, (r + 1) * V);
    const places = Array.from(row, (_, v) => v);
    places.sort(
      (a, b) =>
        Number(Number.isNaN(row[b])) - Number(Number.isNaN(row[a])) ||
        (size(row[a]!) === size(row[b]!) ? a - b : size(row[b]!) - size(row[a]!)),
    );
    for (let i = 0; i < k; i++) y_R2K.set([row[places[i]!]!, places[i]!], (r * k + i) * 2);
  }
}
