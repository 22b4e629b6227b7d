/** What tells the inputs of a fine-tuning run from others: its samples as they are encoded, and the weights it begins with. */
import { createHash } from 'node:crypto';
import type { Checkpoint } from '../../../model/checkpoint/checkpoint.ts';
import { isWeightType, rowBytes } from '../../../tensor/dtype.ts';
import { columnCount, rowCount } from '../../../tensor/tensor.ts';
import type { Prepared } from './prepare.ts';

export function digestsOfTuning({ samples }: Prepared, base: Checkpoint): Record<string, string> {
  return {
    'data.train': digestOfSamples(samples.train),
    'data.valid': digestOfSamples(samples.valid),
    'model.from': digestOfWeights(base),
  };
}

function digestOfSamples(samples: readonly object[]): string {
  const hash = createHash('sha256');
  const plain = (_: string, value: unknown) => (ArrayBuffer.isView(value) ? [...(value as Uint8Array)] : value);
  for (const sample of samples) hash.update(JSON.stringify(sample, plain));
  return hash.digest('hex');
}

/** The first and the last row of every tensor: a model that was trained on differs there, and a large one is read in no time. */
function digestOfWeights({ tensors }: Checkpoint): string {
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
