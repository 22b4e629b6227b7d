/** Checks that any table of tensors in a file must pass: shapes that can be counted, and places that do not collide. */
import { type DType, dtypes } from '../tensor/dtype.ts';
import { formatShape } from '../tensor/tensor.ts';

/** Bytes of a tensor, or the problem with its shape in words. */
export function checkedBytes(dtype: DType, shape: readonly number[]): number | string {
  let count = 1;
  for (const length of shape) {
    if (!(Number.isSafeInteger(length) && length >= 0))
      return `shape ${formatShape(shape)} is no list of whole numbers`;
    count *= length;
  }
  const { blockWeights, blockBytes } = dtypes[dtype];
  if (!(count <= Number.MAX_SAFE_INTEGER / 16))
    return `shape ${formatShape(shape)} has more numbers than any file holds`;
  const columns = shape.at(-1) ?? 1;
  if (columns % blockWeights !== 0) {
    return `rows of ${columns} numbers do not fill blocks of ${blockWeights} (${dtype})`;
  }
  return (count / blockWeights) * blockBytes;
}

/** Two tensors of the list whose bytes overlap, or null. */
export function overlapping<Place extends { readonly byteOffset: number; readonly byteLength: number }>(
  places: Iterable<Place>,
): readonly [Place, Place] | null {
  const sorted = [...places].filter(({ byteLength }) => byteLength > 0).sort((a, b) => a.byteOffset - b.byteOffset);
  for (let i = 1; i < sorted.length; i++) {
    const [before, after] = [sorted[i - 1]!, sorted[i]!];
    if (before.byteOffset + before.byteLength > after.byteOffset) return [before, after];
  }
  return null;
}
