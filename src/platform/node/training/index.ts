/** The library's training: `import { Trainer } from 'cria/training'`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { recomputePolicies } from '../../../autograd/tape.ts';
import { assert } from '../../../base/assert.ts';
import { ArgumentError } from '../../../base/errors.ts';
import type { Device } from '../../../devices/device.ts';
import { loadSettings } from '../../../inference/remote/load.ts';
import type { RemoteModel } from '../../../inference/remote/model.ts';
import type { Checkpoint } from '../../../model/checkpoint/checkpoint.ts';
import { writeHfCheckpoint } from '../../../model/checkpoint/write/write-hf.ts';
import { elementCount } from '../../../tensor/tensor.ts';
import type { MicroBatch } from '../../../training/micro-batch.ts';
import { readTensors } from '../../../training/run/state.ts';
import { placeModel, type TrainableModel } from '../../../training/trainable-model.ts';
import {
  type TrainerOptions as StepOptions,
  type StepResult,
  StepTrainer,
  type Weights,
} from '../../../training/trainer.ts';
import { openSource } from '../engine/sources.ts';
import { describeMachine } from '../machine.ts';
import { warn } from '../warnings.ts';
import { createDeviceOfRun, deviceOfRun } from './device.ts';
import { numbersOf } from './stored-weights.ts';
import { trainables } from './trainables.ts';
import { writeWholeFolder } from './whole-folder.ts';

export type { MicroBatch } from '../../../training/micro-batch.ts';
export { NO_LABEL } from '../../../training/micro-batch.ts';
export type { StepResult } from '../../../training/trainer.ts';
export { type FinetuneCallOptions, finetune, type TuningMetrics, type TuningResult } from '../finetuning/index.ts';

/** What a run of `cria train` asks of its steps, and a program does not. */
type OfRuns = 'collective' | 'parallel' | 'decorate' | 'afterUpdate' | 'sourceCount' | 'measuresNoise';

export interface TrainerOptions extends Omit<StepOptions, OfRuns> {
  /** Matrix products by the system's BLAS where one is installed. Default true; the model's devices "reference" and "webgpu" have none. */
  readonly blas?: boolean;
  /** Which weights the model computes with and saves: those of the last step, or their average, of which `ema` is the decay. Default 'trained'. */
  readonly weights?: Weights;
}

const knownOptions: readonly (keyof TrainerOptions)[] = [
  'optimizer',
  'schedule',
  'clip',
  'zLoss',
  'ema',
  'weights',
  'dropout',
  'recompute',
  'guard',
  'blas',
];

/**
 * Trains a loaded model: its weights, as f32, on the device that it was loaded for ('auto': the faster one as measured once). What the
 * model computes or saves afterwards is with the trained weights.
 * A step computes in the calling thread (and its own workers): run it in a worker where an event loop must stay free.
 */
export class Trainer {
  /** What computes, in one line for people. */
  readonly description: string;
  private readonly device: Device;
  private readonly trainable: TrainableModel;
  private readonly steps: StepTrainer;
  private readonly checkpoint: Checkpoint;
  private readonly folder: string;
  private readonly weights: Weights;
  private version = 0;
  private written = 0;

  private constructor(
    device: Device,
    trainable: TrainableModel,
    checkpoint: Checkpoint,
    weights: Weights,
    options: StepOptions,
  ) {
    this.device = device;
    this.description = device.description;
    this.weights = weights;
    this.trainable = trainable;
    this.checkpoint = checkpoint;
    this.steps = new StepTrainer(device, trainable.model, trainable.parameters, options);
    this.folder = mkdtempSync(join(tmpdir(), 'cria-trainer-'));
    process.once('exit', () => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** Reads the model's weights from where it was loaded. Throws ArgumentError `trainer.options`. */
  static async create(model: RemoteModel, options: TrainerOptions): Promise<Trainer> {
    checkOptions(options);
    const { blas = true, weights = 'trained', ...rest } = options;
    const found = trainables.get(model);
    if (!found)
      throw new ArgumentError('trainer.model', 'Trainer.create: expected a model of Llama.load, got something else.');
    // An adapter for conversations lies over the weights, and stays there.
    if (found.options.adapters?.some(({ usual = true }) => usual === true))
      throw new ArgumentError(
        'trainer.adapters',
        'Trainer.create: the model was loaded with adapters, expected one without. Merge them into it (model.save), or train an adapter (cria finetune).',
      );
    const { device: kind = 'auto', threads = describeMachine().physicalCores } = found.options;
    const { revectorize = true, native = true } = found.options;
    const machine = { device: kind, threads, blas, revectorize, native };
    const chosen = await deviceOfRun(kind, { products: 'f32', ranks: 1, began: undefined }, () => {});
    const { device } = await createDeviceOfRun(machine, chosen, 'f32', () => {}, warn);
    const checkpoint = await openSource(found.source, () => {}, loadSettings(found.options).open);
    const trainable = placeModel(device, checkpoint.config, ({ name }) => numbersOf(checkpoint.tensors.get(name)!));
    const trainer = new Trainer(device, trainable, checkpoint, weights, rest);
    found.useWeights(() => trainer.writeChanged());
    return trainer;
  }

  /** One step over one entry per micro-batch; loss and gradients are those before the update. */
  async step(microBatches: readonly MicroBatch[]): Promise<StepResult> {
    const result = await this.steps.step(microBatches);
    this.version++;
    return result;
  }

  /** Loss and gradients of some micro-batches, without an update: by our parameter names. */
  async gradients(microBatches: readonly MicroBatch[]): Promise<{
    readonly loss: number;
    readonly gradients: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
  }> {
    const { loss } = await this.steps.computeGradients(microBatches);
    const gradients = this.trainable.parameters.map(async ({ name, gradient }) => {
      const { shape } = gradient.tensor;
      const data = gradient.isEmpty ? new Float32Array(elementCount(shape)) : await this.device.read(gradient.tensor);
      return [name, { shape, data: Float32Array.from(data) }] as const;
    });
    return { loss, gradients: new Map(await Promise.all(gradients)) };
  }

  /** Frees the trainer's memory. The model keeps the weights as they are. */
  async close(): Promise<void> {
    await this.writeChanged();
    this.device.close();
    this.checkpoint.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Writes the weights where they have changed since the last time. */
  private async writeChanged(): Promise<string | null> {
    if (this.version === this.written) return null;
    this.written = this.version;
    const path = join(this.folder, `weights-${this.version}`);
    const { average } = this.steps;
    const { weights } = this.trainable;
    const chosen = this.weights === 'averaged' ? weights.map((weight) => average!.of(weight)) : weights;
    const tensors = await readTensors(this.device, chosen);
    const encode = () => assert(false, 'trainer: f32 weights are written as they are');
    writeWholeFolder(path, (folder) =>
      writeHfCheckpoint(
        folder,
        { ...this.checkpoint, tensors },
        { maxShardBytes: 2 ** 40, typeOf: () => 'f32', encode },
      ),
    );
    return path;
  }
}

function checkOptions(options: TrainerOptions): void {
  const problems = Object.keys(options).flatMap((name) =>
    (knownOptions as readonly string[]).includes(name) ? [] : [`${name} is not an option`],
  );
  const { schedule, recompute, clip, zLoss, dropout, ema = null, weights = 'trained' } = options;
  if (typeof schedule !== 'function' && !(schedule && Number.isFinite(schedule.learningRate))) {
    problems.push(
      'schedule must be { learningRate, warmupSteps, totalSteps, finalFraction } or a function of the step',
    );
  }
  if (recompute !== undefined && !recomputePolicies.includes(recompute)) {
    problems.push(`recompute is ${String(recompute)}, expected ${recomputePolicies.join(', ')}`);
  }
  if (clip !== undefined && clip !== null && !(clip > 0))
    problems.push(`clip is ${clip}, expected a number above 0 or null`);
  if (zLoss !== undefined && !(zLoss >= 0 && zLoss < Number.POSITIVE_INFINITY))
    problems.push(`zLoss is ${zLoss}, expected a number of at least 0`);
  if (ema !== null && !(ema > 0 && ema < 1)) problems.push(`ema is ${ema}, expected a decay between 0 and 1, or null`);
  if (weights !== 'trained' && weights !== 'averaged')
    problems.push(`weights is ${String(weights)}, expected trained or averaged`);
  else if (weights === 'averaged' && ema === null)
    problems.push('weights is averaged, and no average is kept; give its decay, as in ema: 0.999');
  if (dropout !== undefined) {
    const { rates, seed } = dropout;
    const isRate = (rate: unknown) => typeof rate === 'number' && rate >= 0 && rate < 1;
    if (![rates?.embedding, rates?.attention, rates?.residual].every(isRate) || !Number.isSafeInteger(seed)) {
      problems.push(
        'dropout must be { rates: { embedding, attention, residual }, seed }, with rates of at least 0 and below 1',
      );
    }
  }
  if (problems.length === 0) return;
  const all = `${problems.join('; ')}. The options are ${knownOptions.join(', ')}.`;
  throw new ArgumentError('trainer.options', `Trainer.create: ${all}`);
}
