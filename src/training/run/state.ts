import { ArgumentError } from '../../base/errors.ts';
import type { Device } from '../../devices/device.ts';
import type { NamedTensor } from '../../formats/safetensors-write.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { elementCount, rowCount, type Tensor } from '../../tensor/tensor.ts';
import type { Collective } from '../collective.ts';
import type { PackerCursor } from '../data/packer.ts';
import type { GuardState } from '../guard.ts';
import type { Optimizer } from '../optimizer.ts';
import type { PlacedWeight } from '../trainable-model.ts';
import type { NoiseState } from './noise-scale.ts';
import type { RunInputs } from './resume.ts';

/** A run that went back: `rate` is the part of the schedule's learning rate from there on. */
export interface Return {
  readonly from: number;
  readonly to: number;
  readonly rate: number;
  readonly because: string;
}

/** All of a run but its numbers: what state.json holds. */
export interface RunState {
  readonly step: number;
  readonly tokens: number;
  readonly cursor: PackerCursor;
  readonly guard: GuardState;
  readonly smoothedLoss: number | null;
  /** Of the gradient noise scale; absent until a step has told something. */
  readonly noise?: NoiseState;
  readonly best: { readonly step: number; readonly bitsPerByte: number } | null;
  /** What the run was given, to notice what has changed; an earlier version kept the recipe alone. */
  readonly recipe: unknown;
  readonly digests?: RunInputs['digests'];
  readonly bits?: RunInputs['bits'];
  /** Where the run went back to an earlier checkpoint, and went on with a lower rate. */
  readonly returns?: readonly Return[];
  /** Seconds of training so far. */
  readonly seconds: number;
}

/** The numbers of a device's tensor, read now, as a source that a checkpoint writer reads. */
export async function readTensor(device: Device, name: string, tensor: Tensor): Promise<TensorSource> {
  return arraySource(name, Float32Array.from(await device.read(tensor)), tensor.shape);
}

/** The numbers of all these tensors, read now, by name. */
export async function readTensors(
  device: Device,
  tensors: readonly { readonly name: string; readonly tensor: Tensor }[],
): Promise<Map<string, TensorSource>> {
  const sources = new Map<string, TensorSource>();
  for (const { name, tensor } of tensors) sources.set(name, await readTensor(device, name, tensor));
  return sources;
}

/**
 * A model's weights for a checkpoint. What every rank has only its part of is gathered when it is read: all ranks must read the same of
 * these sources, in the same order. The others' numbers are right on rank 0 only.
 */
export async function weightTensors(
  device: Device,
  weights: readonly PlacedWeight[],
  collective: Collective,
): Promise<Map<string, TensorSource>> {
  const gathering = new Gathering(collective);
  const sources = new Map<string, TensorSource>();
  for (const { name, tensor, own } of weights) {
    if (own) sources.set(name, gathering.source(name, tensor.shape, own.numbers));
    else if (collective.rank === 0) sources.set(name, await readTensor(device, name, tensor));
    else sources.set(name, { name, dtype: 'f32', shape: tensor.shape, readRows: () => {} });
  }
  return sources;
}

/**
 * The optimizer's moments under their parameters' names, whole: gathered when they are read, as `weightTensors` are. What was read of
 * them now is this rank's part.
 */
export async function momentTensors(
  device: Device,
  optimizer: Optimizer,
  collective: Collective,
): Promise<NamedTensor[]> {
  const gathering = new Gathering(collective);
  const found: NamedTensor[] = [];
  for (const { parameter, parts, own, kinds, moments } of optimizer.shards) {
    const length = elementCount(parameter.tensor.shape);
    for (const kind of kinds) {
      const name = `${kind}.${parameter.name}`;
      const part = moments ? Float32Array.from(await device.read(moments[kind]!)) : new Float32Array();
      // A rank that holds all sends the others' nothing but its own part.
      const { from, count } = parts[collective.rank]!;
      const sent = own.count === count ? part : part.subarray(from, from + count);
      found.push([name, gathering.source(name, [length], sent)]);
    }
  }
  return found;
}

/** Sources whose parts lie on the ranks, in their order; one of them is held whole at a time. */
class Gathering {
  private readonly collective: Collective;
  private current: TensorSource | null = null;

  constructor(collective: Collective) {
    this.collective = collective;
  }

  source(name: string, shape: readonly number[], own: Float32Array): TensorSource {
    const readRows: TensorSource['readRows'] = (target, firstRow, rows) => {
      if (this.current?.name !== name) this.current = arraySource(name, this.whole(elementCount(shape), own), shape);
      this.current.readRows(target, firstRow, rows);
    };
    return { name, dtype: 'f32', shape, readRows };
  }

  private whole(length: number, own: Float32Array): Float32Array {
    const { rank, size } = this.collective;
    const counts = new Float64Array(size);
    counts[rank] = own.length;
    this.collective.sum(counts);
    const whole = new Float32Array(length);
    this.collective.gather(whole, own, Array.from(counts));
    return whole;
  }
}

/** Numbers in memory as a source. */
function arraySource(name: string, values: Float32Array, shape: readonly number[]): TensorSource {
  const columns = shape.at(-1) ?? 1;
  return {
    name,
    dtype: 'f32',
    shape,
    readRows(target, firstRow, rowCount) {
      const bytes = new Uint8Array(values.buffer, firstRow * columns * 4, rowCount * columns * 4);
      target.set(bytes);
    },
  };
}

/** Fills this rank's moments; those that are not kept any more, as an earlier version did of Muon's, are left. Throws ArgumentError `training.moments` when they are of another shape. */
export function restoreMoments(device: Device, optimizer: Optimizer, tensors: ReadonlyMap<string, TensorSource>): void {
  for (const { parameter, own, kinds, moments } of optimizer.shards) {
    if (!moments) continue;
    const length = elementCount(parameter.tensor.shape);
    for (const kind of kinds) {
      const source = tensors.get(`${kind}.${parameter.name}`);
      if (source?.dtype !== 'f32' || elementCount(source.shape) !== length) {
        const found = source ? `${elementCount(source.shape)} of ${source.dtype}` : 'none';
        const problem = `checkpoint: expected ${length} f32 moments of ${parameter.name}, found ${found}`;
        throw new ArgumentError('training.moments', `${problem}. It belongs to another model or recipe.`);
      }
      const whole = new Float32Array(length);
      source.readRows(new Uint8Array(whole.buffer), 0, rowCount(source.shape));
      device.write(moments[kind]!, whole.subarray(own.from, own.from + own.count));
    }
  }
}
