import type { Device } from '../devices/device.ts';
import type { LlamaConfig } from '../model/config.ts';
import { assembleModel, type Model } from '../model/model.ts';
import { listParameters, type Parameter } from '../model/parameters.ts';
import type { Floats, Tensor } from '../tensor/tensor.ts';
import type { TrainableParameter } from './optimizer.ts';
import { type Division, Placing } from './ranks/sharding.ts';

/** A model whose weights are plain f32 on a device, to be trained. */
export interface TrainableModel {
  /** For training: batch norms take their statistics from the batch. */
  readonly model: Model;
  readonly parameters: readonly TrainableParameter[];
  /** Everything that a file of the model holds: the parameters, frozen ones too, and running statistics. */
  readonly weights: readonly PlacedWeight[];
}

export type PlacedWeight = Pick<TrainableParameter, 'name' | 'tensor' | 'own'>;

/**
 * Places every parameter of a model on the device; `numbers` gives a parameter's values.
 * `isTrained` chooses those that get gradients and moments; the others are frozen.
 * `division`: of several ranks, what this one holds.
 */
export function placeModel(
  device: Device,
  config: LlamaConfig,
  numbers: (parameter: Parameter) => Floats,
  isTrained: (parameter: Parameter) => boolean = () => true,
  division: Division = { sharding: 'none', rank: 0, size: 1, matrices: 'adamw' },
): TrainableModel {
  const tensors = new Map<string, Tensor>();
  const parameters: TrainableParameter[] = [];
  const weights: PlacedWeight[] = [];
  const all = listParameters(config);
  const isTrainable = (parameter: Parameter) => parameter.spec.statistic === undefined && isTrained(parameter);
  const placing = new Placing(device, division, all.filter(isTrainable));
  for (const parameter of all) {
    const { name, shape } = parameter;
    const place = isTrainable(parameter) ? placing.place(name, shape) : null;
    const tensor = place?.tensor ?? device.allocate(shape);
    const values = numbers(parameter);
    const own = place?.own ?? null;
    if (own) own.numbers.set(values.subarray(own.part.from, own.part.from + own.part.count));
    else device.write(tensor, values);
    tensors.set(name, tensor);
    weights.push({ name, tensor, own });
    if (place) parameters.push({ name, tensor, gradient: { tensor: place.gradient, isEmpty: true }, own });
  }
  return { model: assembleModel(config, tensors, { usesBatch: true }), parameters, weights };
}

export function trainable(device: Device, name: string, tensor: Tensor): TrainableParameter {
  return { name, tensor, gradient: { tensor: device.allocate(tensor.shape), isEmpty: true } };
}
