import type { Device } from '../devices/device.ts';
import type { LlamaConfig } from '../model/config.ts';
import { assembleModel, type Model } from '../model/model.ts';
import { listParameters, type Parameter } from '../model/parameters.ts';
import type { Floats, Tensor } from '../tensor/tensor.ts';
import type { TrainableParameter } from './optimizer.ts';

/** A model whose weights are plain f32 on a device, to be trained. */
export interface TrainableModel {
  /** For training: batch norms take their statistics from the batch. */
  readonly model: Model;
  readonly parameters: readonly TrainableParameter[];
  /** Everything that a file of the model holds: the parameters, frozen ones too, and running statistics. */
  readonly weights: readonly { readonly name: string; readonly tensor: Tensor }[];
}

/**
 * Places every parameter of a model on the device; `numbers` gives a parameter's values.
 * `isTrained` chooses those that get gradients and moments; the others are frozen.
 */
export function placeModel(
  device: Device,
  config: LlamaConfig,
  numbers: (parameter: Parameter) => Floats,
  isTrained: (parameter: Parameter) => boolean = () => true,
): TrainableModel {
  const tensors = new Map<string, Tensor>();
  const parameters: TrainableParameter[] = [];
  for (const parameter of listParameters(config)) {
    const { name, shape, spec } = parameter;
    const tensor = device.allocate(shape);
    device.write(tensor, numbers(parameter));
    tensors.set(name, tensor);
    if (spec.statistic === undefined && isTrained(parameter)) parameters.push(trainable(device, name, tensor));
  }
  const weights = Array.from(tensors, ([name, tensor]) => ({ name, tensor }));
  return { model: assembleModel(config, tensors, { usesBatch: true }), parameters, weights };
}

export function trainable(device: Device, name: string, tensor: Tensor): TrainableParameter {
  return { name, tensor, gradient: { tensor: device.allocate(tensor.shape), isEmpty: true } };
}
