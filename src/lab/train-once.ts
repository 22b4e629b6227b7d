/** One training of the lab, from fresh weights to the last evaluation. */
import type { Device } from '../devices/device.ts';
import { parameterCount } from '../model/parameters.ts';
import type { Documents } from '../training/data/documents.ts';
import { Packer } from '../training/data/packer.ts';
import { evaluate } from '../training/evaluate.ts';
import { AnomalyError } from '../training/guard.ts';
import { initialWeights } from '../training/initialize.ts';
import { flopsPerToken } from '../training/run/estimate.ts';
import { placeModel } from '../training/trainable-model.ts';
import { StepTrainer } from '../training/trainer.ts';
import type { LabTraining } from './arm-model.ts';

export interface LabText {
  readonly train: Documents;
  readonly valid: Documents;
  /** Of the validation text in UTF-8. */
  readonly validBytes: number;
}

export interface Evaluated {
  readonly tokens: number;
  /** Mean training loss since the evaluation before, in nats a token. */
  readonly trainingLoss: number;
  readonly bitsPerByte: number;
}

export interface RunResult {
  readonly parameters: number;
  /** Of a token, forward and backward. */
  readonly flops: number;
  readonly tokens: number;
  /** Of training alone; evaluations are not in it. */
  readonly seconds: number;
  /** The same in time that a processor worked at it, whatever else the machine does meanwhile; null where the runtime does not tell. */
  readonly processorSeconds: number | null;
  readonly curve: readonly Evaluated[];
  /** Validation bits per byte, mean of the last two evaluations; null where the run diverged. */
  readonly bitsPerByte: number | null;
  /** Where and why it ended early; null: it did not. */
  readonly diverged: string | null;
}

export interface RunOutside {
  /** Milliseconds. */
  clock(): number;
  /** Milliseconds that this thread has worked; null where the runtime does not tell. */
  worked(): number | null;
  isStopped(): boolean;
  /** Lets messages arrive. */
  breathe(): Promise<void>;
}

/** null: it was stopped. The same training gives the same numbers on the same device. */
export async function trainOnce(
  device: Device,
  { config, seed, steps, rows, ...training }: LabTraining,
  { train, valid, validBytes }: LabText,
  outside: RunOutside,
): Promise<RunResult | null> {
  const length = config.contextLength;
  const { model, parameters } = placeModel(device, config, initialWeights(config, seed));
  const { learningRate, warmupSteps, optimizer, clip, evaluations } = training;
  const schedule = { learningRate, warmupSteps, totalSteps: steps, finalFraction: 0.1 };
  const trainer = new StepTrainer(device, model, parameters, { optimizer, clip, schedule });
  const packer = new Packer([{ documents: train, share: 1 }], seed);
  const curve: Evaluated[] = [];
  let [seconds, sum, count] = [0, 0, 0];
  let processorSeconds: number | null = 0;
  const tokens = steps * rows * length;
  const facts = { parameters: parameterCount(config), flops: flopsPerToken(config, length), tokens };
  for (let step = 1; step <= steps; step++) {
    if (outside.isStopped()) return null;
    const [from, workedFrom] = [outside.clock(), outside.worked()];
    try {
      const { loss } = await trainer.step([packer.next(rows, length)]);
      sum += loss;
      count++;
    } catch (error) {
      if (!(error instanceof AnomalyError)) throw error;
      return { ...facts, seconds, processorSeconds, curve, bitsPerByte: null, diverged: error.message };
    }
    seconds += (outside.clock() - from) / 1000;
    const worked = outside.worked();
    processorSeconds =
      processorSeconds === null || worked === null || workedFrom === null
        ? null
        : processorSeconds + (worked - workedFrom) / 1000;
    if (isDue(step, steps, evaluations)) {
      const { bitsPerByte } = await evaluate(trainer, valid, validBytes, { rows: 16, length });
      curve.push({ tokens: step * rows * length, trainingLoss: sum / count, bitsPerByte });
      [sum, count] = [0, 0];
    }
    await outside.breathe();
  }
  const last = curve.slice(-2);
  const bitsPerByte = last.reduce((all, point) => all + point.bitsPerByte, 0) / last.length;
  return { ...facts, seconds, processorSeconds, curve, bitsPerByte, diverged: null };
}

/** Whether one of the evenly spread evaluations comes after this step. */
function isDue(step: number, steps: number, evaluations: number): boolean {
  const before = Math.floor(((step - 1) * evaluations) / steps);
  return Math.floor((step * evaluations) / steps) > before;
}
