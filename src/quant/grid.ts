/**
 * The grids of the 32-weight types: one block of weights → its step (and offset) and 32 codes.
 * Without importance the arithmetic is ggml's in f32, bit for bit; with importance the step is searched and the codes are
 * the nearest to what f16 stores.
 */
import { f16ToF32 } from '../base/f16.ts';
import { dtypes } from '../tensor/dtype.ts';
import { inverseOf, toF16 } from './codec.ts';
import { searchAffineBlock, searchSymmetricBlock } from './search.ts';

const COUNT = dtypes.Q4_0.blockWeights;

/** The block that was placed last; one object, so that a row of blocks allocates nothing. */
export const grid = { step: 0, offset: 0, codes: new Uint8Array(COUNT) };

/**
 *   step = x* / −top     q_i = ⌊x_i/step + top + ½⌋ in 0 … 2·top − 1     x_i ≈ step · (q_i − top)
 *
 * with x* the first weight of largest size, so that its code is 0 and the step's sign is its opposite.
 */
export function placeSymmetric(
  weights: Float32Array,
  importance: Float32Array | null,
  first: number,
  top: number,
): void {
  let size = 0;
  let extreme = 0;
  for (let i = first; i < first + COUNT; i++) {
    const x = weights[i]!;
    if (Math.abs(x) > size) {
      size = Math.abs(x);
      extreme = x;
    }
  }
  grid.step = Math.fround(extreme / -top);
  grid.offset = 0;
  if (importance) grid.step = roundedToF16(searchSymmetricBlock(weights, importance, first, top).scale, first);
  const inverse = inverseOf(grid.step);
  const last = 2 * top - 1;
  for (let i = 0; i < COUNT; i++) {
    const q = Math.fround(weights[first + i]! * inverse + (top + 0.5)) | 0;
    grid.codes[i] = Math.max(0, Math.min(q, last));
  }
}

/**
 *   offset = min x     step = (max x − min x) / top     q_i = ⌊(x_i − offset)/step + ½⌋ in 0 … top     x_i ≈ step·q_i + offset
 */
export function placeAffine(weights: Float32Array, importance: Float32Array | null, first: number, top: number): void {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (let i = first; i < first + COUNT; i++) {
    const x = weights[i]!;
    if (x < low) low = x;
    if (x > high) high = x;
  }
  grid.step = Math.fround(Math.fround(high - low) / top);
  grid.offset = low;
  if (importance) {
    const fit = searchAffineBlock(weights, importance, first, top);
    grid.step = roundedToF16(fit.scale, first);
    grid.offset = roundedToF16(fit.offset, first);
  }
  const inverse = inverseOf(grid.step);
  for (let i = 0; i < COUNT; i++) {
    const scaled = Math.fround(Math.fround(weights[first + i]! - grid.offset) * inverse);
    const q = Math.fround(scaled + 0.5) | 0;
    grid.codes[i] = Math.max(0, Math.min(q, top));
  }
}

function roundedToF16(value: number, first: number): number {
  return f16ToF32(toF16(value, first));
}
