/** Models of a fine-tuning run: where they begin, on the device to be trained or frozen, and written as other programs read them. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../../base/assert.ts';
import { ArgumentError, CriaError } from '../../../base/errors.ts';
import type { Device } from '../../../devices/device.ts';
import type { Recipe } from '../../../finetuning/recipe-keys.ts';
import { placeTrainedAdapter, type TrainedAdapter, tensorsOf } from '../../../finetuning/trained-adapter.ts';
import { baseTypes } from '../../../model/adapter/base-weights.ts';
import { mergeAdapters } from '../../../model/adapter/merge.ts';
import { openAdapter } from '../../../model/adapter/open.ts';
import { PEFT_CONFIG } from '../../../model/adapter/open-peft.ts';
import { floatSource } from '../../../model/adapter/sources.ts';
import { type PeftOptions, writePeft } from '../../../model/adapter/write-peft.ts';
import type { Checkpoint } from '../../../model/checkpoint/checkpoint.ts';
import { type FolderSink, writeHfCheckpoint } from '../../../model/checkpoint/write/write-hf.ts';
import type { LlamaConfig } from '../../../model/config.ts';
import { keepBlocks } from '../../../model/keep-blocks.ts';
import { loadModel, type Model, prepareModel } from '../../../model/model.ts';
import { listParameters } from '../../../model/parameters.ts';
import { decodeHeld, holdNf4 } from '../../../quant/nf4.ts';
import { recode } from '../../../quant/recode.ts';
import { readWeights } from '../../../quant/rows.ts';
import { dtypes, type WeightType } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { columnCount } from '../../../tensor/tensor.ts';
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts';
import type { TrainableParameter } from '../../../training/optimizer.ts';
import { readTensors } from '../../../training/run/state.ts';
import { placeModel } from '../../../training/trainable-model.ts';
import { openCheckpointAt, openFolder } from '../files.ts';
import { numbersOf } from '../training/stored-weights.ts';

/** The model that a recipe begins with. */
export function openTuned({ model }: Recipe, path: string): Checkpoint {
  const checkpoint = openTunable(path);
  return model.keepBlocks === undefined ? checkpoint : keepBlocks(checkpoint, model.keepBlocks);
}

/** A model at a path; of an adapter's folder, its base model with the adapter merged in. */
export function openTunable(path: string): Checkpoint {
  if (!statSync(path).isDirectory() || !existsSync(join(path, PEFT_CONFIG))) return openCheckpointAt(path);
  const named = JSON.parse(readFileSync(join(path, PEFT_CONFIG), 'utf8')) as { base_model_name_or_path?: unknown };
  const from = named.base_model_name_or_path;
  if (typeof from !== 'string' || !existsSync(from)) {
    throw new CriaError(
      'finetune.adapter-base',
      `${path}: expected the adapter's base model at ${JSON.stringify(from)}, found nothing there. Merge the adapter first (cria merge).`,
    );
  }
  const base = openTunable(from);
  const adapter = openAdapter(openFolder(path), base.config);
  const merged = mergeAdapters(base, [{ adapter, scale: 1 }]);
  return {
    ...merged,
    close() {
      adapter.close();
      base.close();
    },
  };
}

/** A model that is tuned: its weights are the parameters, or it is frozen under an adapter. */
export interface TunedModel {
  readonly model: Model;
  readonly parameters: readonly TrainableParameter[];
  readonly adapter: TrainedAdapter | null;
  /** The types that an adapter's frozen base is held in. */
  readonly heldAs: string;
}

export async function placeTuned(
  device: Device,
  checkpoint: Checkpoint,
  recipe: Recipe,
  config: LlamaConfig,
): Promise<TunedModel> {
  if (recipe.adapter.kind === 'none') {
    const { model, parameters } = placeModel(device, config, ({ name }) => numbersOf(checkpoint.tensors.get(name)!));
    return { model, parameters, adapter: null, heldAs: 'f32' };
  }
  const { tensors, held, nf4 } = heldAs(recipe.adapter.base, checkpoint, config);
  await prepareModel(device, config, new Map([...tensors].filter(([, source]) => !nf4.has(source))));
  const place: Device['placeWeight'] = (source, layer) => {
    const original = nf4.get(source);
    return original ? device.placeNf4(original) : device.placeWeight(source, layer);
  };
  const model = loadModel(Object.create(device, { placeWeight: { value: place } }) as Device, config, tensors);
  const adapter = placeTrainedAdapter(device, model, recipe.adapter, recipe.seed, tensors);
  return {
    model,
    parameters: adapter.parameters,
    adapter: { ...adapter, description: `${adapter.description}${held}` },
    heldAs: nf4.size > 0 ? 'NF4 with double quantization' : baseTypes(config, tensors),
  };
}

/** The frozen base in fewer bits: the blocks' matrices in the first type whose blocks fit into their rows, all else as it is stored. */
function heldAs(
  base: Recipe['adapter']['base'],
  { tensors }: Checkpoint,
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

/** The same weights as numbers that nothing trains: a reference, or a judge. */
export function placeFrozen(device: Device, checkpoint: Checkpoint, config: LlamaConfig): Model {
  return placeModel(
    device,
    config,
    ({ name }) => numbersOf(checkpoint.tensors.get(name)!),
    () => false,
  ).model;
}

export interface WrittenModel {
  readonly device: Device;
  readonly tuned: TunedModel;
  readonly checkpoint: Checkpoint;
  readonly config: LlamaConfig;
  readonly tokenizer: Tokenizer;
  /** Of the base model, for an adapter's folder. */
  readonly basePath: string;
  /** How an adapter was trained. */
  readonly peft: Omit<PeftOptions, 'baseModel'>;
  /** Jinja; null: the model has none and got none. */
  readonly template: string | null;
}

/** Reads the trained weights, and gives what writes the model (or the adapter) with its tokenizer, template and end tokens. */
export async function modelWriter(written: WrittenModel): Promise<(folder: FolderSink) => void> {
  const { device, tuned, checkpoint, config, tokenizer, basePath, peft, template } = written;
  if (tuned.adapter !== null) {
    const adapter = await tuned.adapter.read();
    return (folder) => {
      const written = { ...adapter, trainedOver: tuned.heldAs, ...(template !== null && { chatTemplate: template }) };
      writePeft(folder, written, config, { baseModel: basePath, ...peft });
    };
  }
  const tensors = await readTensors(device, tensorsOf(tuned.model));
  const eosIds = [...new Set([...checkpoint.generation.eosIds, ...tokenizer.eogIds])];
  const generation = { ...checkpoint.generation, bosId: tokenizer.bosId, eosIds };
  return (folder) => {
    const { tokenizerWritten } = writeHfCheckpoint(
      folder,
      { config, tensors, tokenizer: checkpoint.tokenizer, chatTemplate: template, generation },
      {
        maxShardBytes: 2 ** 40,
        typeOf: () => 'f32',
        encode: () => assert(false, 'fine-tuning: f32 weights are written as they are'),
      },
    );
    if (!tokenizerWritten) {
      throw new ArgumentError(
        'finetune.tokenizer',
        `${checkpoint.name}: its kind of tokenizer has no form in a Hugging Face folder. Tune an adapter (adapter.kind: lora), which needs none.`,
      );
    }
  };
}
