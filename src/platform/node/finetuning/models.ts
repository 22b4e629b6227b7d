/** Models of a fine-tuning run: where they begin, on the device to be trained or frozen, and written as other programs read them. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../../base/assert.ts';
import { ArgumentError, CriaError } from '../../../base/errors.ts';
import type { Device } from '../../../devices/device.ts';
import type { Recipe } from '../../../finetuning/recipe-keys.ts';
import { tensorsOf } from '../../../finetuning/trained-adapter.ts';
import type { TunedModel } from '../../../finetuning/tuned-model.ts';
import { mergeAdapters } from '../../../model/adapter/merge.ts';
import { openAdapter } from '../../../model/adapter/open.ts';
import { PEFT_CONFIG } from '../../../model/adapter/open-peft.ts';
import { type PeftOptions, writePeft } from '../../../model/adapter/write-peft.ts';
import type { Checkpoint } from '../../../model/checkpoint/checkpoint.ts';
import { type FolderSink, writeHfCheckpoint } from '../../../model/checkpoint/write/write-hf.ts';
import type { LlamaConfig } from '../../../model/config.ts';
import { keepBlocks } from '../../../model/keep-blocks.ts';
import type { Model } from '../../../model/model.ts';
import { readWeights } from '../../../quant/rows.ts';
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts';
import { readTensors } from '../../../training/run/state.ts';
import { placeModel } from '../../../training/trainable-model.ts';
import { openCheckpointAt, openFolder } from '../files.ts';

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

/** The same weights as numbers that nothing trains: a reference, or a judge. */
export function placeFrozen(device: Device, checkpoint: Checkpoint, config: LlamaConfig): Model {
  return placeModel(
    device,
    config,
    ({ name }) => readWeights(checkpoint.tensors.get(name)!),
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
