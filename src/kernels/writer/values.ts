/** The values of kernels, typed by what is in them. */
export { choose, F32, F64, I32, split, Value, type ValueClass } from './scalars.ts';
export { F32x4, F64x2, I8x16, I16x8, I32x4, Vector } from './vectors.ts';
