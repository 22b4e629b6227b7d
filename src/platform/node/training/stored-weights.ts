import { assert } from '../../../base/assert.ts';
import { decodeRow } from '../../../quant/rows.ts';
import { isWeightType, rowBytes } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { columnCount, elementCount, rowCount } from '../../../tensor/tensor.ts';

/** A stored weight as numbers, whatever its type. */
export function numbersOf(source: TensorSource): Float32Array {
  const { dtype, shape } = source;
  assert(isWeightType(dtype), `${source.name}: ${dtype} holds no weights`);
  const rows = rowCount(shape);
  const bytes = new Uint8Array(rows * rowBytes(dtype, columnCount(shape)));
  source.readRows(bytes, 0, rows);
  const numbers = new Float32Array(elementCount(shape));
  decodeRow(dtype, bytes, numbers);
  return numbers;
}
