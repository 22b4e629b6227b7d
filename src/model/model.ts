import { ConfigError } from '../base/errors.ts';
import type { Device } from '../devices/device.ts';
import type { RopeFrequencies } from '../kernels/ops.ts';
import type { TensorSource } from '../tensor/source.ts';
import { formatShape, type Tensor } from '../tensor/tensor.ts';
import type { LlamaConfig } from './config.ts';
import { type blockTensors, listParameters, type modelTensors } from './parameters.ts';
import { ropeFrequencies } from './rope-frequencies.ts';

/** A row of the parameter table is optional in the model exactly when the table says when it is present. */
type Weights<Table> = {
  readonly [key in keyof Table as Table[key] extends { when: unknown } ? never : key]: Tensor;
} & {
  readonly [key in keyof Table as Table[key] extends { when: unknown } ? key : never]?: Tensor;
};

export type BlockWeights = Weights<typeof blockTensors>;

/** A model on a device: its config and its weights, under the names of the parameter table. */
export type Model = Weights<typeof modelTensors> & {
  readonly config: LlamaConfig;
  readonly blocks: readonly BlockWeights[];
  /** null unless positions are rotary. */
  readonly frequencies: RopeFrequencies | null;
  /** The lab's batch norms take their statistics from the batch and move the running ones: while training. */
  readonly usesBatch?: boolean;
};

/** Assembles a model from tensors by parameter name (`embed_VD`, `blocks.3.wq_QD`). Throws ConfigError listing what is missing or misshapen. */
export function assembleModel(config: LlamaConfig, tensors: ReadonlyMap<string, Tensor>): Model {
  const problems: string[] = [];
  const blocks: Record<string, Tensor>[] = Array.from({ length: config.blockCount }, () => ({}));
  const outside: Record<string, Tensor> = {};
  for (const { name, key, block, shape } of listParameters(config)) {
    const tensor = tensors.get(name);
    if (!tensor) problems.push(`${name} ${formatShape(shape)} is missing`);
    else if (formatShape(tensor.shape) !== formatShape(shape)) {
      problems.push(`${name} is ${formatShape(tensor.shape)}, expected ${formatShape(shape)}`);
    } else if (block === null) outside[key] = tensor;
    else blocks[block]![key] = tensor;
  }
  if (problems.length > 0) throw new ConfigError('the tensors do not fit the config', problems, 'model.tensors');
  return {
    ...(outside as Weights<typeof modelTensors>),
    config,
    blocks: blocks as unknown as BlockWeights[],
    frequencies: config.positions === 'rope' ? ropeFrequencies(config) : null,
  };
}

/** Lets the device make room for the weights, before loadModel. */
export async function prepareModel(
  device: Device,
  config: LlamaConfig,
  sources: ReadonlyMap<string, TensorSource>,
): Promise<void> {
  const weights = listParameters(config).flatMap(({ name, block }) => {
    const source = sources.get(name);
    return source ? [[source, block] as const] : [];
  });
  await device.prepare?.(weights);
}

/** Streams every weight onto the device. `onProgress` hears of the bytes placed so far. */
export function loadModel(
  device: Device,
  config: LlamaConfig,
  sources: ReadonlyMap<string, TensorSource>,
  onProgress: (done: number, total: number) => void = () => {},
): Model {
  const tensors = new Map<string, Tensor>();
  const parameters = listParameters(config);
  for (const [i, { name, block }] of parameters.entries()) {
    const source = sources.get(name);
    if (source) tensors.set(name, device.placeWeight(source, block));
    onProgress(i + 1, parameters.length);
  }
  return assembleModel(config, tensors);
}

/** The running statistics of a model's batch norms. */
export function statisticsOf(model: Model): Tensor[] {
  return listParameters(model.config)
    .filter(({ spec }) => spec.statistic !== undefined)
    .map(({ key, block }) => {
      const place: Readonly<Partial<Record<string, unknown>>> = block === null ? model : model.blocks[block]!;
      return place[key] as Tensor;
    });
}
