import type { DType } from './dtype.ts';

/** The float arrays that reference kernels compute in. */
export type Floats = Float32Array | Float64Array;

/**
 * A tensor on a device: what everybody may know of it. The bytes belong to the device that made it.
 * Row-major; the last dimension is contiguous.
 */
export interface Tensor {
  readonly dtype: DType;
  readonly shape: readonly number[];
}

export function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Everything but the last dimension, flattened: a [B, T, D] tensor has B·T rows of D columns. */
export function rowCount(shape: readonly number[]): number {
  return elementCount(shape.slice(0, -1));
}

export function columnCount(shape: readonly number[]): number {
  return shape.at(-1) ?? 1;
}

/** '[2, 3]' */
export function formatShape(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
