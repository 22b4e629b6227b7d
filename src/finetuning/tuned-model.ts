/** A model on a device to be tuned: all of its weights as f32, or frozen, in few bits where that is asked for, under an adapter. */
import type { Device } from '../devices/device.ts';
import { baseTypes } from '../model/adapter/base-weights.ts';
import { floatSource } from '../model/adapter/sources.ts';
import type { LlamaConfig } from '../model/config.ts';
import { loadModel, type Model, prepareModel } from '../model/model.ts';
import { listParameters } from '../model/parameters.ts';
import { decodeHeld, holdNf4 } from '../quant/nf4.ts';
import { recode } from '../quant/recode.ts';
import { readWeights } from '../quant/rows.ts';
import { dtypes, type WeightType } from '../tensor/dtype.ts';
import type { TensorSource } from '../tensor/source.ts';
import { columnCount } from '../tensor/tensor.ts';
import type { TrainableParameter } from '../training/optimizer.ts';
import { placeModel } from '../training/trainable-model.ts';
import type { Recipe } from './recipe-keys.ts';
import { placeTrainedAdapter, type TrainedAdapter } from './trained-adapter.ts';

/** A model that is tuned: its weights are the parameters, or it is frozen under an adapter. */
export interface TunedModel {
  readonly model: Model;
  readonly parameters: readonly TrainableParameter[];
  readonly adapter: TrainedAdapter | null;
  /** What an adapter is trained over: the base's weights as they are held. */
  readonly tensors: ReadonlyMap<string, TensorSource>;
  /** The types that they are held in. */
  readonly heldAs: string;
}

/** `stored`: the model's weights as they are stored. Throws ConfigError `recipe.adapter`. */
export async function placeTuned(
  device: Device,
  config: LlamaConfig,
  stored: ReadonlyMap<string, TensorSource>,
  { adapter: settings, seed }: Pick<Recipe, 'adapter' | 'seed'>,
): Promise<TunedModel> {
  if (settings.kind === 'none') {
    const { model, parameters } = placeModel(device, config, ({ name }) => readWeights(stored.get(name)!));
    return { model, parameters, adapter: null, tensors: stored, heldAs: 'f32' };
  }
  const { tensors, held, nf4 } = heldAs(settings.base, stored, config);
  await prepareModel(device, config, new Map([...tensors].filter(([, source]) => !nf4.has(source))));
  const place: Device['placeWeight'] = (source, layer) => {
    const original = nf4.get(source);
    return original ? device.placeNf4(original) : device.placeWeight(source, layer);
  };
  const model = loadModel(Object.create(device, { placeWeight: { value: place } }) as Device, config, tensors);
  const adapter = placeTrainedAdapter(device, model, settings, seed, tensors);
  return {
    model,
    parameters: adapter.parameters,
    adapter: { ...adapter, description: `${adapter.description}${held}` },
    tensors,
    heldAs: nf4.size > 0 ? 'NF4 with double quantization' : baseTypes(config, tensors),
  };
}

/** The frozen base in fewer bits: the blocks' matrices in the first type whose blocks fit into their rows, all else as it is stored. */
function heldAs(
  base: Recipe['adapter']['base'],
  tensors: ReadonlyMap<string, TensorSource>,
  config: LlamaConfig,
): {
  readonly tensors: ReadonlyMap<string, TensorSource>;
  readonly held: string;
  /** What is held in NF4, which reads as what NF4 makes of it, and what that was before. */
  readonly nf4: ReadonlyMap<TensorSource, TensorSource>;
} {
  if (base === 'stored') return { tensors, held: '', nf4: new Map() };
  if (base === 'nf4') return heldAsNf4(tensors, config);
  const types: readonly WeightType[] = base === 'q4_k' ? ['Q4_K', 'Q8_0'] : ['Q8_0'];
  const counts = new Map<string, number>();
  const recoded = new Map(tensors);
  for (const { name, block, shape } of listParameters(config)) {
    const source = tensors.get(name);
    if (source === undefined || block === null || shape.length !== 2) continue;
    const type = types.find((each) => columnCount(shape) % dtypes[each].blockWeights === 0);
    if (type !== undefined) recoded.set(name, recode(source, type));
    const held = type ?? source.dtype;
    counts.set(held, (counts.get(held) ?? 0) + 1);
  }
  const words = [...counts].map(([type, count]) => `${count} matrices as ${type}`);
  return { tensors: recoded, held: `, over a frozen base of ${words.join(' and ')}`, nf4: new Map() };
}

function heldAsNf4(tensors: ReadonlyMap<string, TensorSource>, config: LlamaConfig) {
  const held = new Map(tensors);
  const nf4 = new Map<TensorSource, TensorSource>();
  for (const { name, block, shape } of listParameters(config)) {
    const source = tensors.get(name);
    if (source === undefined || block === null || shape.length !== 2) continue;
    const rounded = nf4Source(source);
    held.set(name, rounded);
    nf4.set(rounded, source);
  }
  const words = `, over a frozen base of ${nf4.size} matrices as NF4 with double quantization`;
  return { tensors: held, held: words, nf4 };
}

/** The weights as NF4 rounds them, for who reads them as numbers: a DoRA begins with their lengths. */
function nf4Source(source: TensorSource): TensorSource {
  const { name, shape } = source;
  let rounded: TensorSource | null = null;
  const round = () => {
    const held = holdNf4(readWeights(source));
    const weights = new Float32Array(held.length);
    decodeHeld(held, 0, weights);
    return floatSource(name, weights, shape);
  };
  return {
    name,
    dtype: 'f32',
    shape,
    readRows(target, firstRow, rows) {
      rounded ??= round();
      rounded.readRows(target, firstRow, rows);
    },
  };
}
