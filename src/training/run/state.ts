import { ArgumentError } from '../../base/errors.ts';
import type { TrainingDevice } from '../../devices/training-device.ts';
import type { NamedTensor } from '../../formats/safetensors-write.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import type { PackerCursor } from '../data/packer.ts';
import { type AdamW, shardOf } from '../optimizer.ts';

/** All of a run but its numbers: what state.json holds. */
export interface RunState {
  readonly step: number;
  readonly tokens: number;
  readonly cursor: PackerCursor;
  readonly guard: { readonly loss: readonly number[]; readonly norm: readonly number[] };
  readonly smoothedLoss: number | null;
  readonly best: { readonly step: number; readonly bitsPerByte: number } | null;
  /** The recipe as it was checked, to notice a changed one. */
  readonly recipe: unknown;
  /** Seconds of training so far. */
  readonly seconds: number;
}

/** A tensor of a training device as a source that a checkpoint writer reads. */
export function tensorSource(device: TrainingDevice, name: string, tensor: Tensor): TensorSource {
  const columns = tensor.shape.at(-1) ?? 1;
  return {
    name,
    dtype: 'f32',
    shape: tensor.shape,
    readRows(target, firstRow, rowCount) {
      const from = firstRow * columns;
      const values = Float32Array.from(device.view(tensor).subarray(from, from + rowCount * columns));
      target.set(new Uint8Array(values.buffer));
    },
  };
}

/** The optimizer's moments under their parameters' names: this rank's part of them. */
export function momentTensors(device: TrainingDevice, optimizer: AdamW): NamedTensor[] {
  return optimizer.shards.flatMap(({ parameter, moments }) =>
    moments
      ? (['m', 'v'] as const).map((kind): NamedTensor => {
          const name = `${kind}.${parameter.name}`;
          return [name, tensorSource(device, name, moments[kind])];
        })
      : [],
  );
}

/**
 * Fills this rank's moments from the files of all ranks that wrote them, however many those were.
 * Throws ArgumentError `training.moments` when they are of another shape.
 */
export function restoreMoments(
  device: TrainingDevice,
  optimizer: AdamW,
  ranks: readonly ReadonlyMap<string, TensorSource>[],
): void {
  for (const { parameter, from, count, moments } of optimizer.shards) {
    if (!moments) continue;
    const length = elementCount(parameter.tensor.shape);
    for (const kind of ['m', 'v'] as const) {
      const whole = new Float32Array(length);
      ranks.forEach((tensors, rank) => {
        const part = shardOf(length, rank, ranks.length);
        if (part.count === 0) return;
        const source = tensors.get(`${kind}.${parameter.name}`);
        if (source?.dtype !== 'f32' || elementCount(source.shape) !== part.count) {
          const found = source ? `${elementCount(source.shape)} of ${source.dtype}` : 'none';
          const problem = `checkpoint: expected ${part.count} f32 moments of ${parameter.name}, found ${found}`;
          throw new ArgumentError('training.moments', `${problem}. It belongs to another model or recipe.`);
        }
        const bytes = new Uint8Array(whole.buffer, part.from * 4, part.count * 4);
        source.readRows(bytes, 0, source.shape.length === 1 ? 1 : elementCount(source.shape.slice(0, -1)));
      });
      device.view(moments[kind]).set(whole.subarray(from, from + count));
    }
  }
}
