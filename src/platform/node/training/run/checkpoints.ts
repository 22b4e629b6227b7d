/** A run's checkpoints: folders that transformers loads as they are, with the optimizer and the run's state beside the weights. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../../../base/assert.ts';
import { FormatError } from '../../../../base/errors.ts';
import type { Device } from '../../../../devices/device.ts';
import { readSafetensors } from '../../../../formats/safetensors.ts';
import { writeSafetensors } from '../../../../formats/safetensors-write.ts';
import type { TokenizerFiles } from '../../../../formats/tokenizer-files.ts';
import { noGeneration } from '../../../../model/checkpoint/checkpoint.ts';
import { type FolderSink, writeHfCheckpoint } from '../../../../model/checkpoint/write/write-hf.ts';
import type { LlamaConfig } from '../../../../model/config.ts';
import type { TensorSource } from '../../../../tensor/source.ts';
import { elementCount, rowCount } from '../../../../tensor/tensor.ts';
import type { Collective } from '../../../../training/collective.ts';
import type { Optimizer } from '../../../../training/optimizer.ts';
import { momentTensors, type RunState, restoreMoments, weightTensors } from '../../../../training/run/state.ts';
import type { WeightAverage } from '../../../../training/step/weight-average.ts';
import type { TrainableModel } from '../../../../training/trainable-model.ts';
import type { Weights } from '../../../../training/trainer.ts';
import { openCheckpointAt, openFile } from '../../files.ts';
import { makeFolder } from '../../make-folder.ts';
import { BEST, checkpointName } from '../run-checkpoint.ts';
import { writeWholeFile } from '../whole-folder.ts';
import { type FoundCheckpoint, type Keeping, nowhere, pruneCheckpoints, writeCheckpoint } from './checkpoint-folder.ts';

const MOMENTS = 'optimizer.safetensors';
/** Where the model's file holds one kind of weights, the other is beside it. */
const OTHER_WEIGHTS = { trained: 'averaged.safetensors', averaged: 'trained.safetensors' } as const;

/** As a checkpoint keeps it. */
export type SavedState = RunState & {
  readonly optimizerStep: number;
  /** Updates that the weights' average is of; absent: none is kept. */
  readonly averageCount?: number;
};

export interface CheckpointContent {
  readonly config: LlamaConfig;
  readonly weights: TrainableModel['weights'];
  readonly optimizer: Optimizer;
  readonly average: WeightAverage | null;
  /** Which weights the model's file holds. */
  readonly output: Weights;
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
    const { collective, config, weights, optimizer, average, output, tokenizer, bosId, eosId } = this.content;
    const averages = average && weights.map((weight) => average.of(weight));
    const [model, other] = averages && output === 'averaged' ? [averages, weights] : [weights, averages];
    const tensors = await weightTensors(this.device, model, collective);
    const otherTensors = other && (await weightTensors(this.device, other, collective));
    const momentsNow = await momentTensors(this.device, optimizer, collective);
    const saved = { ...state, optimizerStep: optimizer.step, ...(average && { averageCount: average.count }) };
    const write = (folder: FolderSink) => {
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
      if (!otherTensors) return;
      const file = folder.create(OTHER_WEIGHTS[output]);
      writeSafetensors(file, [...otherTensors], {});
      file.close();
    };
    // Every rank writes, as the numbers are gathered while they are read; what the others write goes nowhere.
    if (collective.rank > 0) {
      write(nowhere);
      collective.barrier();
      return path;
    }
    writeCheckpoint(path, saved, write);
    if (state.best?.step === state.step) writeWholeFile(join(this.folder, BEST), `${JSON.stringify(state.best)}\n`);
    pruneCheckpoints(this.folder, keep, state.best?.step ?? null);
    collective.barrier();
    return path;
  }

  /** Puts the numbers of a checkpoint back. */
  load({ path, state }: FoundCheckpoint<SavedState>): void {
    const { config, optimizer } = this.content;
    const checkpoint = openCheckpointAt(path);
    try {
      const differences = (Object.keys(config) as (keyof LlamaConfig)[]).filter(
        (key) => key !== 'family' && JSON.stringify(checkpoint.config[key]) !== JSON.stringify(config[key]),
      );
      if (differences.length > 0) {
        const values = (of: LlamaConfig) => differences.map((key) => `${key} ${JSON.stringify(of[key])}`).join(', ');
        const problem = `expected the recipe's model with ${values(config)}, found ${values(checkpoint.config)}`;
        const advice = 'Resume with the recipe that the run began with, or begin a new run in another folder.';
        throw new FormatError({ code: 'training.other-shape', file: path, where: 'config.json' }, problem, advice);
      }
      this.fillWeights(path, state, checkpoint.tensors);
    } finally {
      checkpoint.close();
    }
    this.fromFile(path, MOMENTS, (tensors) => restoreMoments(this.device, optimizer, tensors));
    optimizer.step = state.optimizerStep;
  }

  /** What a checkpoint's model holds is told by the file beside it; where there is none, no average was kept. */
  private fillWeights(path: string, state: SavedState, model: ReadonlyMap<string, TensorSource>): void {
    const { weights, average } = this.content;
    if (existsSync(join(path, OTHER_WEIGHTS.averaged))) {
      this.fromFile(path, OTHER_WEIGHTS.averaged, (trained) => this.fill(weights, trained));
      this.fillAverages(model, state);
      return;
    }
    this.fill(weights, model);
    if (existsSync(join(path, OTHER_WEIGHTS.trained))) {
      this.fromFile(path, OTHER_WEIGHTS.trained, (averages) => this.fillAverages(averages, state));
    } else average?.begin();
  }

  private fillAverages(sources: ReadonlyMap<string, TensorSource>, { averageCount = 0 }: SavedState): void {
    const { average, weights } = this.content;
    if (!average) return;
    this.fill(
      weights.map((weight) => average.of(weight)),
      sources,
    );
    average.count = averageCount;
  }

  private fromFile(path: string, name: string, use: (tensors: ReadonlyMap<string, TensorSource>) => void): void {
    const file = openFile(join(path, name));
    try {
      use(readSafetensors(file).tensors);
    } finally {
      file.close();
    }
  }

  /** Writes numbers into tensors of the same names and sizes: those of a model of the same configuration. */
  private fill(targets: TrainableModel['weights'], sources: ReadonlyMap<string, TensorSource>): void {
    for (const { name, tensor, own } of targets) {
      const source = sources.get(name)!;
      const values = new Float32Array(elementCount(tensor.shape));
      source.readRows(new Uint8Array(values.buffer), 0, rowCount(source.shape));
      if (own) own.numbers.set(values.subarray(own.part.from, own.part.from + own.part.count));
      else this.device.write(tensor, values);
    }
  }
}
