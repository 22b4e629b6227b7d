/** The library's training: `import { Trainer } from 'cria/training'`. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Device } from '../../../devices/device.ts';
import { checkSessionOptions, type SessionOptions } from '../../../finetuning/session/options.ts';
import { type Gradients, TrainingSession, trainerClosed } from '../../../finetuning/session/session.ts';
import { loadSettings } from '../../../inference/remote/load.ts';
import type { RemoteModel } from '../../../inference/remote/model.ts';
import type { Checkpoint } from '../../../model/checkpoint/checkpoint.ts';
import type { Encode } from '../../../model/checkpoint/write/convert.ts';
import { ggufBytes } from '../../../model/checkpoint/write/gguf-in-memory.ts';
import { writeHfCheckpoint } from '../../../model/checkpoint/write/write-hf.ts';
import { parseMix } from '../../../quant/mixes.ts';
import { encodeRow } from '../../../quant/rows.ts';
import type { MicroBatch } from '../../../training/micro-batch.ts';
import { initialModel as initial, type ModelShape } from '../../../training/recipe/initial-model.ts';
import type { StepResult } from '../../../training/trainer.ts';
import { Handover, trainableOf } from '../../trainables.ts';
import { openSource } from '../engine/sources.ts';
import { describeMachine } from '../machine.ts';
import { warn } from '../warnings.ts';
import { createDeviceOfRun, deviceOfRun } from './device.ts';
import { writeWholeFolder } from './whole-folder.ts';

export type { AdapterOptions } from '../../../finetuning/session/options.ts';
export type { Gradients } from '../../../finetuning/session/session.ts';
export { type TextBatchOptions, textBatches } from '../../../training/data/text-batches.ts';
export type { MicroBatch } from '../../../training/micro-batch.ts';
export { NO_LABEL } from '../../../training/micro-batch.ts';
export type { ModelShape } from '../../../training/recipe/initial-model.ts';
export type { StepResult } from '../../../training/trainer.ts';
export { type FinetuneCallOptions, finetune, type TuningMetrics, type TuningResult } from '../finetuning/index.ts';

export interface TrainerOptions extends SessionOptions {
  /** Matrix products by the system's BLAS where one is installed. Default true; the model's devices "reference" and "webgpu" have none. */
  readonly blas?: boolean;
}

/**
 * Trains a loaded model: its weights, as f32, or an adapter over them, on the device that it was loaded for ('auto': the faster one as
 * measured once). What the model computes or saves afterwards is with the trained weights, an adapter merged into them.
 * A step computes in the calling thread (and its own workers): run it in a worker where an event loop must stay free.
 */
export class Trainer {
  /** What computes, in one line for people. */
  readonly description: string;
  private readonly device: Device;
  private readonly session: TrainingSession;
  private readonly checkpoint: Checkpoint;
  private readonly folder: string;
  private readonly handover = new Handover(async () => ({ kind: 'path', path: await this.write() }));
  private written = 0;
  private isClosed = false;

  private constructor(device: Device, session: TrainingSession, checkpoint: Checkpoint) {
    this.device = device;
    this.description = device.description;
    this.session = session;
    this.checkpoint = checkpoint;
    this.folder = mkdtempSync(join(tmpdir(), 'cria-trainer-'));
    process.once('exit', () => rmSync(this.folder, { recursive: true, force: true }));
  }

  /** Reads the model's weights from where it was loaded. Throws ArgumentError `trainer.options`. */
  static async create(model: RemoteModel, options: TrainerOptions): Promise<Trainer> {
    checkSessionOptions(options, ['blas']);
    const { blas = true, ...rest } = options;
    const found = trainableOf(model);
    const { device: kind = 'auto', threads = describeMachine().physicalCores } = found.options;
    const { revectorize = true, native = true } = found.options;
    const machine = { device: kind, threads, blas, revectorize, native };
    const chosen = await deviceOfRun(kind, { products: 'f32', ranks: 1, began: undefined }, () => {});
    const { device } = await createDeviceOfRun(machine, chosen, 'f32', () => {}, warn);
    const checkpoint = await openSource(found.source, () => {}, loadSettings(found.options).open);
    const trainer = new Trainer(device, await TrainingSession.create(device, checkpoint, rest), checkpoint);
    found.useWeights(() => trainer.handover.take());
    return trainer;
  }

  /** One step over one entry per micro-batch; loss and gradients are those before the update. */
  async step(microBatches: readonly MicroBatch[]): Promise<StepResult> {
    const result = await this.open().step(microBatches);
    this.handover.changed();
    return result;
  }

  /** Loss and gradients of some micro-batches, without an update: by our parameter names. */
  async gradients(microBatches: readonly MicroBatch[]): Promise<Gradients> {
    return this.open().gradients(microBatches);
  }

  /** The model as it is now, as a GGUF file in memory; `dtype` as `cria quantize` names it, 'f32' unless said otherwise. Throws ConfigError for what GGUF has no form for. */
  async toGguf({ dtype = 'f32' }: { readonly dtype?: string } = {}): Promise<Blob> {
    const mix = parseMix(dtype);
    return new Blob([ggufBytes(await this.open().model(), mix)]);
  }

  /** Frees the trainer's memory. The model keeps the weights as they are. */
  async close(): Promise<void> {
    if (this.isClosed) return;
    await this.handover.settle();
    this.isClosed = true;
    this.device.close();
    this.checkpoint.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Throws CriaError `trainer.closed`. */
  private open(): TrainingSession {
    if (this.isClosed) throw trainerClosed();
    return this.session;
  }

  /** Writes the weights to a folder of their own. */
  private async write(): Promise<string> {
    const path = join(this.folder, `weights-${++this.written}`);
    const model = await this.session.model();
    const encode: Encode = (dtype, weights, bytes) => encodeRow(dtype, weights, bytes);
    writeWholeFolder(path, (folder) =>
      writeHfCheckpoint(folder, model, { maxShardBytes: 2 ** 40, typeOf: () => 'f32', encode }),
    );
    return path;
  }
}

/**
 * A model with fresh weights, as a GGUF file in memory, for `Llama.load`: of a shape as recipes of `cria train` have it (`depth` is the
 * dial), with the vocabulary of another model, or that of the 256 bytes. Throws ConfigError `initial-model.shape`.
 */
export async function initialModel(
  shape: ModelShape,
  { seed = 1, vocabularyOf }: { readonly seed?: number; readonly vocabularyOf?: RemoteModel } = {},
): Promise<Blob> {
  return new Blob([ggufBytes(initial(shape, seed, vocabularyOf ? vocabularyOf.vocabulary : null), 'F32')]);
}
