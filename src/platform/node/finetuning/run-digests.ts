/** What tells the inputs of a fine-tuning run from others: its samples as they are encoded, and the weights it begins with. */
import { createHash } from 'node:crypto';
import type { Checkpoint } from '../../../model/checkpoint/checkpoint.ts';
import { digestOfWeights } from '../training/weights-digest.ts';
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
