/** A stored tensor in another weight type, recoded row by row as it is read: how files are converted without holding them. */
import { ArgumentError, UnsupportedError } from '../base/errors.ts';
import { dtypes, isWeightType, rowBytes, type WeightType, weightTypes } from '../tensor/dtype.ts';
import type { TensorSource } from '../tensor/source.ts';
import { columnCount } from '../tensor/tensor.ts';
import { decodeRow, encodeRow } from './rows.ts';

/**
 * `source` as `dtype`. A tensor that has the type already is handed back as it is, bytes and all. `importance` holds one factor
 * per column, as in encodeRow.
 *
 * Throws  UnsupportedError `quant.not-a-weight` for integers and the like; ArgumentError `quant.columns` where rows are no
 *         whole blocks; on reading, encodeRow's errors, with the tensor and the row in front.
 */
export function recode(source: TensorSource, dtype: WeightType, importance: Float32Array | null = null): TensorSource {
  const { name, shape } = source;
  const stored = source.dtype;
  if (stored === dtype) return source;
  if (!isWeightType(stored)) {
    throw new UnsupportedError(
      'quant.not-a-weight',
      `${name}: expected a weight type (${weightTypes.join(', ')}), found ${stored}. Only weights can become ${dtype}`,
    );
  }
  const columns = columnCount(shape);
  const { blockWeights } = dtypes[dtype];
  if (columns % blockWeights !== 0) {
    throw new ArgumentError(
      'quant.columns',
      `${name}: ${dtype} needs rows of whole blocks of ${blockWeights}, found rows of ${columns}. Choose another type (planTypes does)`,
    );
  }
  const storedRow = new Uint8Array(rowBytes(stored, columns));
  const weights = new Float32Array(columns);
  const bytesPerRow = rowBytes(dtype, columns);
  return {
    name,
    dtype,
    shape,
    readRows(target, firstRow, rowCount) {
      for (let row = 0; row < rowCount; row++) {
        source.readRows(storedRow, firstRow + row, 1);
        decodeRow(stored, storedRow, weights);
        const bytes = target.subarray(row * bytesPerRow, (row + 1) * bytesPerRow);
        try {
          encodeRow(dtype, weights, bytes, importance);
        } catch (error) {
          if (!(error instanceof ArgumentError)) throw error;
          throw new ArgumentError(error.code, `${name}, row ${firstRow + row}: ${error.message}`, { cause: error });
        }
      }
    },
  };
}
