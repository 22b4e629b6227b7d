/** Training in a page: `import { Trainer } from 'cria/training'`. */
import { UnsupportedError } from '../../base/errors.ts';
import { checkSessionOptions, type SessionOptions } from '../../finetuning/session/options.ts';
import {
  type FromSession,
  SessionClient,
  type SessionFacts,
  type SessionPort,
} from '../../finetuning/session/remote.ts';
import type { Gradients } from '../../finetuning/session/session.ts';
import { loadSettings } from '../../inference/remote/load.ts';
import type { RemoteModel } from '../../inference/remote/model.ts';
import { parseMix } from '../../quant/mixes.ts';
import type { MicroBatch } from '../../training/micro-batch.ts';
import type { ModelShape } from '../../training/recipe/initial-model.ts';
import { cosineSchedule, type Schedule } from '../../training/schedule.ts';
import type { StepResult } from '../../training/trainer.ts';
import { Handover, trainableOf } from '../trainables.ts';

export type { AdapterOptions } from '../../finetuning/session/options.ts';
export type { Gradients } from '../../finetuning/session/session.ts';
export { type TextBatchOptions, textBatches } from '../../training/data/text-batches.ts';
export type { MicroBatch } from '../../training/micro-batch.ts';
export { NO_LABEL } from '../../training/micro-batch.ts';
export type { ModelShape } from '../../training/recipe/initial-model.ts';
export type { StepResult } from '../../training/trainer.ts';

export interface TrainerOptions extends SessionOptions {
  /** There is no BLAS in a page: false says what is so, as a program for Node says it. */
  readonly blas?: false;
}

/**
 * Trains a loaded model in a worker of its own: its weights, as f32, or an adapter over them, on the device that it was loaded for
 * ('auto': the faster one as measured once). What the model computes afterwards is with the trained weights, an adapter merged into them.
 */
export class Trainer {
  /** What computes, in one line for people. */
  readonly description: string;
  /** Why it is not what was chosen, among others. */
  readonly remarks: readonly string[];
  private readonly client: SessionClient;
  private readonly schedule: Schedule;
  private readonly handover: Handover;
  private steps = 0;

  private constructor(client: SessionClient, { description, remarks }: SessionFacts, schedule: Schedule) {
    this.client = client;
    this.description = description;
    this.remarks = remarks;
    this.schedule = schedule;
    this.handover = new Handover(async () => {
      const files = new Map([['model.gguf', await this.toGguf()]]);
      return { kind: 'files', name: 'model.gguf', files };
    });
  }

  /** Reads the model's weights from where it was loaded. Throws ArgumentError `trainer.options`. */
  static async create(model: RemoteModel, options: TrainerOptions): Promise<Trainer> {
    checkSessionOptions(options, ['blas']);
    const { schedule, blas = false, ...rest } = options;
    if (blas)
      throw new UnsupportedError(
        'trainer.blas',
        'Trainer.create: blas needs Node, expected blas: false in a browser. Leave the option out.',
      );
    const found = trainableOf(model);
    const client = new SessionClient(startTraining());
    try {
      const facts = await client.call('open', found.source, loadSettings(found.options), rest);
      const trainer = new Trainer(client, facts, typeof schedule === 'function' ? schedule : cosineSchedule(schedule));
      found.useWeights(() => trainer.handover.take());
      return trainer;
    } catch (error) {
      client.close();
      throw error;
    }
  }

  /** One step over one entry per micro-batch; loss and gradients are those before the update. */
  async step(microBatches: readonly MicroBatch[]): Promise<StepResult> {
    const result = await this.client.call('step', this.schedule(this.steps), microBatches);
    this.steps++;
    this.handover.changed();
    return result;
  }

  /** Loss and gradients of some micro-batches, without an update: by our parameter names. */
  gradients(microBatches: readonly MicroBatch[]): Promise<Gradients> {
    return this.client.call('gradients', microBatches);
  }

  /** The model as it is now, as a GGUF file; `dtype` as `cria quantize` names it, 'f32' unless said otherwise. Throws ConfigError for what GGUF has no form for. */
  async toGguf({ dtype = 'f32' }: { readonly dtype?: string } = {}): Promise<Blob> {
    return new Blob([await this.client.call('gguf', parseMix(dtype))]);
  }

  /** Frees the trainer's memory. The model keeps the weights as they are. */
  async close(): Promise<void> {
    try {
      if (this.client.isRunning) await this.handover.settle();
    } finally {
      this.client.close();
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/**
 * A model with fresh weights, as a GGUF file, for `Llama.load`: of a shape as recipes of `cria train` have it (`depth` is the dial), with
 * the vocabulary of another model, or that of the 256 bytes. Throws ConfigError `initial-model.shape`.
 */
export async function initialModel(
  shape: ModelShape,
  { seed = 1, vocabularyOf }: { readonly seed?: number; readonly vocabularyOf?: RemoteModel } = {},
): Promise<Blob> {
  const vocabulary = vocabularyOf ? vocabularyOf.vocabulary : null;
  const client = new SessionClient(startTraining());
  try {
    return new Blob([await client.call('initial', shape, seed, vocabulary)]);
  } finally {
    client.close();
  }
}

/** The address is spelled so that bundlers see and bundle the worker. */
function startTraining(): SessionPort {
  const worker = new Worker(new URL('./training-worker.ts', import.meta.url), {
    type: 'module',
    name: 'cria-training',
  });
  return {
    post: (message) => worker.postMessage(message),
    onMessage: (handler) => worker.addEventListener('message', ({ data }: MessageEvent<FromSession>) => handler(data)),
    onDeath: (handler) => {
      worker.addEventListener('error', (event) =>
        handler(new Error(event.message || 'the script of the worker could not be loaded')),
      );
      worker.addEventListener('messageerror', () => handler(new Error('a message could not be read')));
    },
    terminate: () => worker.terminate(),
  };
}
