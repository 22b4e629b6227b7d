/**
 * The sixteen numbers that four bits stand for, of every type that is a table of levels times a scale. A type with fewer levels has
 * them at the first codes; a type of magnitudes and signs has the magnitudes at codes 0 … 7 and their negatives at 8 … 15.
 *
 * Source  ggml-common.h, kvalues_iq4nl, kvalues_mxfp4, and the values of the grids there.
 */
import type { WeightType } from '../../tensor/dtype.ts';

/** IQ4_NL, IQ4_XS: denser around zero, as weights are. */
const dense = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

const withSigns = (magnitudes: readonly number[]) =>
  Array.from({ length: 16 }, (_, code) => (magnitudes[code & 7] ?? 0) * (code < 8 ? 1 : -1));

/** −1, 0, 1, a shift of ±⅛, times 8; code + 8 is shifted down. */
const shifted = Array.from({ length: 16 }, (_, code) =>
  (code & 7) < 3 ? 8 * ((code & 7) - 1) + (code < 8 ? 1 : -1) : 0,
);

const two = withSigns([8, 25, 43]);
/** TQ2_0's two bits could also say 2. */
const ternary = Array.from({ length: 16 }, (_, code) => (code < 4 ? code - 1 : 0));

const table = (values: readonly number[]) => Int8Array.from(values);

export const levels = {
  IQ4_NL: table(dense),
  IQ4_XS: table(dense),
  /** A sign, two bits of exponent, one of fraction (E2M1), doubled. */
  MXFP4: table(withSigns([0, 1, 2, 3, 4, 6, 8, 12])),
  IQ3_XXS: table(withSigns([4, 12, 20, 28, 36, 44, 52, 62])),
  IQ3_S: table(withSigns([1, 3, 5, 7, 9, 11, 13, 15])),
  IQ2_XXS: table(two),
  IQ2_XS: table(two),
  IQ2_S: table(two),
  IQ1_S: table(shifted),
  IQ1_M: table(shifted),
  TQ1_0: table(ternary),
  TQ2_0: table(ternary),
} as const satisfies Partial<Record<WeightType, Int8Array>>;

export type TableType = keyof typeof levels;

export function isTableType(dtype: WeightType): dtype is TableType {
  return Object.hasOwn(levels, dtype);
}
