import type { TrainingDevice } from '../devices/training-device.ts';
import type { LlamaConfig } from '../model/config.ts';
import { assembleModel, type Model } from '../model/model.ts';
import { listParameters, type Parameter } from '../model/parameters.ts';
import type { Floats, Tensor } from '../tensor/tensor.ts';
import type { TrainableParameter } from './optimizer.ts';

/** A model whose weights are plain f32 on a training device. */
export interface TrainableModel {
  readonly model: Model;
  readonly parameters: readonly TrainableParameter[];
}

/**
 * Places every parameter of a model on the device; `numbers` gives a parameter's values.
 * `isTrained` chooses those that get gradients and moments; the others are frozen.
 */
export function placeModel(
  device: TrainingDevice,
  config: LlamaConfig,
  numbers: (parameter: Parameter) => Floats,
  isTrained: (parameter: Parameter) => boolean = () => true,
): TrainableModel {
  const tensors = new Map<string, Tensor>();
  const parameters: TrainableParameter[] = [];
  for (const parameter of listParameters(config)) {
    const { name, shape } = parameter;
    const tensor = device.allocate(shape);
    device.view(tensor).set(numbers(parameter));
    tensors.set(name, tensor);
    if (isTrained(parameter)) parameters.push(trainable(device, name, tensor));
  }
  return { model: trainingMode(assembleModel(config, tensors)), parameters };
}

export function trainable(device: TrainingDevice, name: string, tensor: Tensor): TrainableParameter {
  return { name, tensor, gradient: { tensor: device.allocate(tensor.shape), isEmpty: true } };
}

/** Batch norms take their statistics from the batch. */
function trainingMode(model: Model): Model {
  if (!model.batchStatistics) return model;
  const entries = [...model.batchStatistics].map(
    ([site, statistics]) => [site, { ...statistics, training: true }] as const,
  );
  return { ...model, batchStatistics: new Map(entries) };
}
