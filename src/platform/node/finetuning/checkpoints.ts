/**
 * A fine-tuning run's checkpoints. Each is a folder that other programs read as it is: a Hugging Face model, or an adapter as PEFT has
 * it. Beside it lie what only a resumed run needs: trained tensors in our own layout, the optimizer's moments, the run's state.
 */

import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../../../base/errors.ts';
import type { Device } from '../../../devices/device.ts';
import type { TuningState } from '../../../finetuning/run/loop.ts';
import { readSafetensors } from '../../../formats/safetensors.ts';
import { writeSafetensors } from '../../../formats/safetensors-write.ts';
import type { FolderSink } from '../../../model/checkpoint/write/write-hf.ts';
import { readWeights } from '../../../quant/rows.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { elementCount, rowCount, type Tensor } from '../../../tensor/tensor.ts';
import type { Collective } from '../../../training/collective.ts';
import type { Optimizer, TrainableParameter } from '../../../training/optimizer.ts';
import { momentTensors, readTensors, restoreMoments } from '../../../training/run/state.ts';
import { openCheckpointAt, openFile } from '../files.ts';
import { makeFolder } from '../make-folder.ts';
import {
  type FoundCheckpoint,
  type Keeping,
  nowhere,
  pruneCheckpoints,
  writeCheckpoint,
} from '../training/run/checkpoint-folder.ts';
import { BEST, checkpointName } from '../training/run-checkpoint.ts';
import { writeWholeFile } from '../training/whole-folder.ts';

const MOMENTS = 'optimizer.safetensors';
const TRAINED = 'trained.safetensors';

/** As a checkpoint keeps it. */
export type SavedTuning = TuningState & { readonly optimizerStep: number };

export interface TuningContent {
  readonly device: Device;
  readonly parameters: readonly TrainableParameter[];
  /** What the written model holds, and a resumed run reads from it; none of an adapter's base. */
  readonly modelTensors: readonly { readonly name: string; readonly tensor: Tensor }[];
  readonly optimizer: Optimizer;
  readonly collective: Collective;
  /** Reads what is trained, and gives what writes it as other programs want it. */
  model(): Promise<(folder: FolderSink) => void>;
}

export class TuningCheckpoints {
  readonly folder: string;
  private readonly content: TuningContent;

  constructor(folder: string, content: TuningContent) {
    this.folder = folder;
    this.content = content;
    makeFolder(folder);
  }

  /** Writes the checkpoint of a step, then removes those that are neither among the last `keepLast` nor the best nor kept. */
  async save(state: TuningState, keep: Keeping): Promise<string> {
    const path = join(this.folder, checkpointName(state.step));
    const { device, parameters, optimizer, collective } = this.content;
    const moments = await momentTensors(device, optimizer, collective);
    if (collective.rank > 0) {
      // Moments are gathered while they are written.
      writeSafetensors(nowhere.create(MOMENTS), moments);
      collective.barrier();
      return path;
    }
    const trained = await readTensors(device, this.besideModel(parameters));
    const writeModel = await this.content.model();
    writeCheckpoint(path, { ...state, optimizerStep: optimizer.step }, (folder) => {
      writeModel(folder);
      for (const [file, tensors] of [
        [TRAINED, [...trained]],
        [MOMENTS, moments],
      ] as const) {
        if (tensors.length === 0) continue;
        const sink = folder.create(file);
        writeSafetensors(sink, tensors);
        sink.close();
      }
    });
    if (state.best?.step === state.step) writeWholeFile(join(this.folder, BEST), `${JSON.stringify(state.best)}\n`);
    pruneCheckpoints(this.folder, keep, state.best?.step ?? null);
    collective.barrier();
    return path;
  }

  /** Puts the numbers of a checkpoint back. */
  load({ path, state }: FoundCheckpoint<SavedTuning>): void {
    const { device, parameters, optimizer } = this.content;
    this.restoreModel(path);
    const beside = this.besideModel(parameters);
    if (beside.length > 0) restoreTrained(device, path, beside);
    const moments = openFile(join(path, MOMENTS));
    restoreMoments(device, optimizer, readSafetensors(moments).tensors);
    moments.close();
    optimizer.step = state.optimizerStep;
  }

  /** Parameters that the model's own files do not hold: an adapter's, a head's. */
  private besideModel(parameters: readonly TrainableParameter[]): readonly TrainableParameter[] {
    const held = new Set(this.content.modelTensors.map(({ name }) => name));
    return parameters.filter(({ name }) => !held.has(name));
  }

  private restoreModel(path: string): void {
    const { device, modelTensors } = this.content;
    if (modelTensors.length === 0) return;
    const checkpoint = openCheckpointAt(path);
    try {
      for (const { name, tensor } of modelTensors) {
        const source = checkpoint.tensors.get(name);
        if (source === undefined || elementCount(source.shape) !== elementCount(tensor.shape))
          throw misfit(path, name, source, tensor);
        device.write(tensor, readWeights(source));
      }
    } finally {
      checkpoint.close();
    }
  }
}

/** Writes the tensors of a checkpoint back to where they are trained. Throws ArgumentError `finetune.trained` where they do not fit. */
export function restoreTrained(
  device: Device,
  path: string,
  parameters: readonly Pick<TrainableParameter, 'name' | 'tensor'>[],
): void {
  const file = join(path, TRAINED);
  if (!existsSync(file)) {
    throw new ArgumentError(
      'finetune.trained',
      `${path}: expected ${TRAINED} of a fine-tuning run, found none. Is this its folder?`,
    );
  }
  const source = openFile(file);
  try {
    const { tensors } = readSafetensors(source);
    for (const { name, tensor } of parameters) {
      const stored = tensors.get(name);
      if (stored === undefined || elementCount(stored.shape) !== elementCount(tensor.shape)) {
        throw misfit(path, name, stored, tensor);
      }
      const numbers = new Float32Array(elementCount(tensor.shape));
      stored.readRows(new Uint8Array(numbers.buffer), 0, rowCount(stored.shape));
      device.write(tensor, numbers);
    }
  } finally {
    source.close();
  }
}

function misfit(path: string, name: string, stored: TensorSource | undefined, tensor: Tensor): ArgumentError {
  const found = stored ? stored.shape.join(' × ') : 'none';
  return new ArgumentError(
    'finetune.trained',
    `${path}: expected ${name} of ${tensor.shape.join(' × ')}, found ${found}. It belongs to another recipe or model.`,
  );
}
