/** A run's checkpoints: folders that transformers loads as they are, with the optimizer and the run's state beside the weights. */
import { readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { assert } from '../../../base/assert.ts';
import { CriaError, FormatError } from '../../../base/errors.ts';
import type { Device } from '../../../devices/device.ts';
import { readSafetensors } from '../../../formats/safetensors.ts';
import { writeSafetensors } from '../../../formats/safetensors-write.ts';
import type { TokenizerFiles } from '../../../formats/tokenizer-files.ts';
import { noGeneration } from '../../../model/checkpoint/checkpoint.ts';
import { type FolderSink, writeHfCheckpoint } from '../../../model/checkpoint/write/write-hf.ts';
import type { LlamaConfig } from '../../../model/config.ts';
import { elementCount } from '../../../tensor/tensor.ts';
import type { Collective } from '../../../training/collective.ts';
import type { Optimizer } from '../../../training/optimizer.ts';
import { momentTensors, type RunState, readTensors, restoreMoments } from '../../../training/run/state.ts';
import type { TrainableModel } from '../../../training/trainable-model.ts';
import { openCheckpointAt, openFile } from '../files.ts';
import { makeFolder } from '../make-folder.ts';
import { BEST, checkpointName, checkpointNames } from './run-checkpoint.ts';
import { verifyWholeFolder, writeWholeFile, writeWholeFolder } from './whole-folder.ts';

const STATE = 'state.json';
const MOMENTS = 'optimizer.safetensors';

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

  /** Writes the checkpoint of a step, then removes those that are neither among the last `keepLast` nor the best. */
  async save(state: RunState, keepLast: number): Promise<string> {
    const path = join(this.folder, checkpointName(state.step));
    const { collective } = this.content;
    const momentsNow = await momentTensors(this.device, this.content.optimizer, collective);
    if (collective.rank > 0) {
      collective.barrier();
      return path;
    }
    const { config, weights, optimizer, tokenizer, bosId, eosId } = this.content;
    const tensors = await readTensors(this.device, weights);
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
      const file = folder.create(STATE);
      file.write(new TextEncoder().encode(`${JSON.stringify({ ...state, optimizerStep: optimizer.step }, null, 2)}\n`));
      file.close();
    };
    try {
      writeWholeFolder(path, write);
    } catch (error) {
      throw saveFailed(path, error);
    }
    if (state.best?.step === state.step) writeWholeFile(join(this.folder, BEST), `${JSON.stringify(state.best)}\n`);
    this.prune(keepLast, state.best?.step ?? null);
    collective.barrier();
    return path;
  }

  /** Puts the newest sound checkpoint's numbers back and returns its state; null when there is none. `tell` hears of damaged ones. */
  restore(tell: (message: string) => void): RunState | null {
    for (const name of checkpointNames(this.folder).reverse()) {
      const path = join(this.folder, name);
      try {
        verifyWholeFolder(path);
      } catch (error) {
        if (!(error instanceof FormatError)) throw error;
        tell(error.message);
        continue;
      }
      return this.load(path);
    }
    return null;
  }

  private load(path: string): RunState {
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
    const state = JSON.parse(readFileSync(join(path, STATE), 'utf8')) as RunState & { optimizerStep: number };
    optimizer.step = state.optimizerStep;
    return state;
  }

  private prune(keepLast: number, bestStep: number | null): void {
    const names = checkpointNames(this.folder);
    for (const name of names.slice(0, -keepLast)) {
      if (bestStep !== null && name === checkpointName(bestStep)) continue;
      rmSync(join(this.folder, name), { recursive: true, force: true });
    }
    for (const name of readdirSync(this.folder)) {
      if (name.endsWith('.partial.old')) rmSync(join(this.folder, name), { recursive: true, force: true });
    }
  }
}

function saveFailed(path: string, error: unknown): unknown {
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  if (!/^E[A-Z]+$/.test(code)) return error;
  const reason = code === 'ENOSPC' || code === 'EDQUOT' ? 'the disk is full' : code;
  const advice = 'The checkpoints before it are whole: make room and go on with --resume.';
  return new CriaError('training.save', `${path}: the checkpoint could not be written (${reason}). ${advice}`, {
    cause: error,
  });
}
