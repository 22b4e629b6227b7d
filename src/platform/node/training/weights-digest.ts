import { createHash } from 'node:crypto';
import type { Checkpoint } from '../../../model/checkpoint/checkpoint.ts';
import { isWeightType, rowBytes } from '../../../tensor/dtype.ts';
import { columnCount, rowCount } from '../../../tensor/tensor.ts';

/** The first and the last row of every tensor: a model that was trained on differs there, and a large one is read in no time. */
export function digestOfWeights({ tensors }: Pick<Checkpoint, 'tensors'>): string {
  const hash = createHash('sha256');
  for (const [name, source] of [...tensors].sort(([a], [b]) => (a < b ? -1 : 1))) {
    const { dtype, shape } = source;
    hash.update(`${name} ${dtype} ${shape.join('×')}\n`);
    if (!isWeightType(dtype)) continue;
    const bytes = new Uint8Array(rowBytes(dtype, columnCount(shape)));
    for (const row of [0, rowCount(shape) - 1]) {
      source.readRows(bytes, row, 1);
      hash.update(bytes);
    }
  }
  return hash.digest('hex');
}
