import { assert } from '../../base/assert.ts';
import { ArgumentError } from '../../base/errors.ts';
import type { TrainingDevice } from '../../devices/training-device.ts';
import type { NamedTensor } from '../../formats/safetensors-write.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { elementCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { Collective } from '../collective.ts';
import type { PackerCursor } from '../data/packer.ts';
import { type Optimizer, shardOf } from '../optimizer.ts';

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

/**
 * The optimizer's moments under their parameters' names, whole: every rank sends its part. All ranks must call this; what it gives
 * is of use on rank 0 only.
 */
export function momentTensors(device: TrainingDevice, optimizer: Optimizer, collective: Collective): NamedTensor[] {
  return optimizer.shards.flatMap(({ parameter, from, count, moments }) =>
    (['m', 'v'] as const).map((kind): NamedTensor => {
      const name = `${kind}.${parameter.name}`;
      if (collective.size === 1) return [name, tensorSource(device, name, moments![kind])];
      const whole = new Float32Array(elementCount(parameter.tensor.shape));
      if (moments) whole.set(device.view(moments[kind]), from);
      for (let rank = 0; rank < collective.size; rank++) {
        const part = shardOf(whole.length, rank, collective.size);
        if (part.count > 0) collective.broadcast(whole.subarray(part.from, part.from + part.count), rank);
      }
      assert(count <= whole.length, `moments: a shard of ${count} in ${whole.length}`);
      return [name, arraySource(name, whole)];
    }),
  );
}

/** Numbers in memory as a source of one row. */
function arraySource(name: string, values: Float32Array): TensorSource {
  return {
    name,
    dtype: 'f32',
    shape: [values.length],
    readRows: (target) => target.set(new Uint8Array(values.buffer)),
  };
}

/** Fills this rank's moments. Throws ArgumentError `training.moments` when they are of another shape. */
export function restoreMoments(
  device: TrainingDevice,
  optimizer: Optimizer,
  tensors: ReadonlyMap<string, TensorSource>,
): void {
  for (const { parameter, from, count, moments } of optimizer.shards) {
    if (!moments) continue;
    const length = elementCount(parameter.tensor.shape);
    for (const kind of ['m', 'v'] as const) {
      const source = tensors.get(`${kind}.${parameter.name}`);
      if (source?.dtype !== 'f32' || elementCount(source.shape) !== length) {
        const found = source ? `${elementCount(source.shape)} of ${source.dtype}` : 'none';
        const problem = `checkpoint: expected ${length} f32 moments of ${parameter.name}, found ${found}`;
        throw new ArgumentError('training.moments', `${problem}. It belongs to another model or recipe.`);
      }
      const whole = new Float32Array(length);
      source.readRows(new Uint8Array(whole.buffer), 0, rowCount(source.shape));
      device.view(moments[kind]).set(whole.subarray(from, from + count));
    }
  }
}
