/** A run's checkpoints: folders that transformers loads as they are, with the optimizer and the run's state beside the weights. */
import { join } from 'node:path';
import { assert } from '../../../../base/assert.ts';
import { FormatError } from '../../../../base/errors.ts';
import type { Device } from '../../../../devices/device.ts';
import { readSafetensors } from '../../../../formats/safetensors.ts';
import { writeSafetensors } from '../../../../formats/safetensors-write.ts';
import type { TokenizerFiles } from '../../../../formats/tokenizer-files.ts';
import { noGeneration } from '../../../../model/checkpoint/checkpoint.ts';
import { writeHfCheckpoint } from '../../../../model/checkpoint/write/write-hf.ts';
import type { LlamaConfig } from '../../../../model/config.ts';
import { elementCount } from '../../../../tensor/tensor.ts';
import type { Collective } from '../../../../training/collective.ts';
import type { Optimizer } from '../../../../training/optimizer.ts';
import { momentTensors, type RunState, readTensors, restoreMoments } from '../../../../training/run/state.ts';
import type { TrainableModel } from '../../../../training/trainable-model.ts';
import { openCheckpointAt, openFile } from '../../files.ts';
import { makeFolder } from '../../make-folder.ts';
import { BEST, checkpointName } from '../run-checkpoint.ts';
import { writeWholeFile } from '../whole-folder.ts';
import { type FoundCheckpoint, type Keeping, pruneCheckpoints, writeCheckpoint } from './checkpoint-folder.ts';

const MOMENTS = 'optimizer.safetensors';

/** As a checkpoint keeps it. */
export type SavedState = RunState & { readonly optimizerStep: number };

export interface CheckpointContent {
  readonly config: LlamaConfig;
  readonly weights: TrainableModel['weights'];
  readonly optimizer: Optimizer;
  readonly tokenizer: TokenizerFiles | null;
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly collective: Collective;
}

export class Checkpoints {
  readonly folder: string;
  private readonly device: Device;
  private readonly content: CheckpointContent;

  constructor(folder: string, device: Device, content: CheckpointContent) {
    this.folder = folder;
    this.device = device;
    this.content = content;
    makeFolder(folder);
  }

  /** Writes the checkpoint of a step, then removes those that are neither among the last `keepLast` nor the best nor kept. */
  async save(state: RunState, keep: Keeping): Promise<string> {
    const path = join(this.folder, checkpointName(state.step));
    const { collective } = this.content;
    const momentsNow = await momentTensors(this.device, this.content.optimizer, collective);
    if (collective.rank > 0) {
      collective.barrier();
      return path;
    }
    const { config, weights, optimizer, tokenizer, bosId, eosId } = this.content;
    const tensors = await readTensors(this.device, weights);
    writeCheckpoint(path, { ...state, optimizerStep: optimizer.step }, (folder) => {
      const generation = { ...noGeneration, bosId, eosIds: eosId === null ? [] : [eosId] };
      writeHfCheckpoint(
        folder,
        { config, tensors, tokenizer, chatTemplate: null, generation },
        {
          maxShardBytes: 2 ** 40,
          typeOf: () => 'f32',
          encode: () => assert(false, 'checkpoint: f32 weights are written as they are'),
        },
      );
      const moments = folder.create(MOMENTS);
      writeSafetensors(moments, momentsNow, { step: String(optimizer.step) });
      moments.close();
    });
    if (state.best?.step === state.step) writeWholeFile(join(this.folder, BEST), `${JSON.stringify(state.best)}\n`);
    pruneCheckpoints(this.folder, keep, state.best?.step ?? null);
    collective.barrier();
    return path;
  }

  /** Puts the numbers of a checkpoint back. */
  load({ path, state }: FoundCheckpoint<SavedState>): void {
    const { config, weights, optimizer } = this.content;
    const checkpoint = openCheckpointAt(path);
    try {
      const differences = (Object.keys(config) as (keyof LlamaConfig)[]).filter(
        (key) => JSON.stringify(checkpoint.config[key]) !== JSON.stringify(config[key]),
      );
      if (differences.length > 0) {
        const values = (of: LlamaConfig) => differences.map((key) => `${key} ${JSON.stringify(of[key])}`).join(', ');
        const problem = `expected the recipe's model with ${values(config)}, found ${values(checkpoint.config)}`;
        const advice = 'Resume with the recipe that the run began with, or begin a new run in another folder.';
        throw new FormatError({ code: 'training.other-shape', file: path, where: 'config.json' }, problem, advice);
      }
      for (const { name, tensor } of weights) {
        const source = checkpoint.tensors.get(name)!;
        const values = new Float32Array(elementCount(tensor.shape));
        const rows = source.shape.slice(0, -1).reduce((a, b) => a * b, 1);
        source.readRows(new Uint8Array(values.buffer), 0, rows);
        this.device.write(tensor, values);
      }
    } finally {
      checkpoint.close();
    }
    const moments = openFile(join(path, MOMENTS));
    restoreMoments(this.device, optimizer, readSafetensors(moments).tensors);
    moments.close();
    optimizer.step = state.optimizerStep;
  }
}
