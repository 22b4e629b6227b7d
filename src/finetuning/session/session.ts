/** What a program trains, on a device that it is given: all weights of a model, or an adapter over them. No files, no threads. */
import { CriaError } from '../../base/errors.ts';
import type { Device } from '../../devices/device.ts';
import { mergeAdapters } from '../../model/adapter/merge.ts';
import type { Checkpoint } from '../../model/checkpoint/checkpoint.ts';
import { readWeights } from '../../quant/rows.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { type MicroBatch, placed, splitMicroBatch } from '../../training/micro-batch.ts';
import { readTensors } from '../../training/run/state.ts';
import { type PlacedWeight, placeModel } from '../../training/trainable-model.ts';
import { type StepResult, StepTrainer } from '../../training/trainer.ts';
import { AdapterDropout } from '../pass-noise.ts';
import { placeTuned, type TunedModel } from '../tuned-model.ts';
import { adapterSettings, type SessionOptions } from './options.ts';

export interface Gradients {
  readonly loss: number;
  /** By our parameter names; an adapter's are those of its matrix with `.lora_A`, `.lora_B`. */
  readonly gradients: ReadonlyMap<string, { readonly shape: readonly number[]; readonly data: Float32Array }>;
}

/** What every call is told after a trainer was closed. */
export function trainerClosed(): CriaError {
  return new CriaError(
    'trainer.closed',
    'Trainer: it was closed while this was waiting, or before. Create another one.',
  );
}

export class TrainingSession {
  private readonly device: Device;
  private readonly checkpoint: Checkpoint;
  private readonly steps: StepTrainer;
  /** What the trained model is made of: its weights on the device, or an adapter over those that it was given. */
  private readonly trained: readonly PlacedWeight[] | TunedModel;
  private readonly dropout: { readonly noise: AdapterDropout; readonly seed: number } | null;

  private constructor(
    device: Device,
    checkpoint: Checkpoint,
    steps: StepTrainer,
    trained: TrainingSession['trained'],
    dropout: TrainingSession['dropout'],
  ) {
    this.device = device;
    this.checkpoint = checkpoint;
    this.steps = steps;
    this.trained = trained;
    this.dropout = dropout;
  }

  /** The options must have been checked. Throws ConfigError `recipe.adapter`, and what a device throws for want of room. */
  static async create(device: Device, checkpoint: Checkpoint, options: SessionOptions): Promise<TrainingSession> {
    const { weights: which = 'trained', adapter, ...rest } = options;
    const { config, tensors } = checkpoint;
    if (adapter === undefined) {
      const { model, parameters, weights } = placeModel(device, config, ({ name }) => readWeights(tensors.get(name)!));
      const steps = new StepTrainer(device, model, parameters, rest);
      const trained = which === 'averaged' ? weights.map((weight) => steps.average!.of(weight)) : weights;
      return new TrainingSession(device, checkpoint, steps, trained, null);
    }
    const settings = adapterSettings(adapter, []);
    const tuned = await placeTuned(device, config, tensors, settings);
    const corrections = tuned.adapter!;
    const rate = settings.adapter.dropout;
    const noise = rate === undefined ? null : new AdapterDropout(rate);
    const steps = new StepTrainer(device, tuned.model, tuned.parameters, {
      ...rest,
      decorate: (ops) => corrections.decorate(ops, noise?.next()),
      afterUpdate: () => corrections.refresh(),
    });
    return new TrainingSession(device, checkpoint, steps, tuned, noise && { noise, seed: settings.seed });
  }

  /** One step over one entry per micro-batch; loss and gradients are those before the update. */
  step(microBatches: readonly MicroBatch[]): Promise<StepResult> {
    if (!this.dropout) return this.steps.step(microBatches);
    const passes = placed(microBatches).flatMap((micro) => splitMicroBatch(micro));
    this.dropout.noise.begin(passes, this.dropout.seed, this.steps.optimizer.step);
    return this.steps.step(passes);
  }

  /** Loss and gradients of some micro-batches, without an update. */
  async gradients(microBatches: readonly MicroBatch[]): Promise<Gradients> {
    this.dropout?.noise.end();
    const { loss } = await this.steps.computeGradients(microBatches);
    const gradients = this.steps.parameters.map(async ({ name, gradient }) => {
      const { shape } = gradient.tensor;
      const data = gradient.isEmpty ? new Float32Array(elementCount(shape)) : await this.device.read(gradient.tensor);
      return [name, { shape, data: Float32Array.from(data) }] as const;
    });
    return { loss, gradients: new Map(await Promise.all(gradients)) };
  }

  /** The model as it is now, until the checkpoint is closed; an adapter is merged into the weights that it was trained over. */
  async model(): Promise<Checkpoint> {
    const { checkpoint, trained } = this;
    if (!('model' in trained)) return { ...checkpoint, tensors: await readTensors(this.device, trained) };
    const { layers, replaced } = await trained.adapter!.read();
    const adapter = { format: 'memory', name: 'trained', layers, replaced, metadata: new Map(), close() {} } as const;
    const tensors: ReadonlyMap<string, TensorSource> = trained.tensors;
    return mergeAdapters({ ...checkpoint, tensors }, [{ adapter, scale: 1 }]);
  }
}
