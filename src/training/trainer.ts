/**
 * One training step: loss and gradients of some micro-batches, clipped, then the optimizer.
 *
 *   loss = Σ over all labels of −log p(label) / number of labels, over all micro-batches and ranks together
 *
 * so that splitting a batch, or spreading it over ranks, changes nothing but rounding.
 */

import { type Recompute, Tape } from '../autograd/tape.ts';
import { ArgumentError } from '../base/errors.ts';
import type { TrainingDevice } from '../devices/training-device.ts';
import type { Ops } from '../kernels/ops.ts';
import { forward, hidden } from '../model/llama.ts';
import { type Model, rebuild, statisticsOf } from '../model/model.ts';
import type { Floats, Tensor } from '../tensor/tensor.ts';
import { type Collective, solo } from './collective.ts';
import { AnomalyError, defaultGuard, Guard, type GuardOptions } from './guard.ts';
import { checkMicroBatch, type MicroBatch, type PreparedBatch, prepareBatch, splitMicroBatch } from './micro-batch.ts';
import { Optimizer, type OptimizerOptions, paperOptimizer, type TrainableParameter } from './optimizer.ts';
import { type CosineSchedule, cosineSchedule, type Schedule } from './schedule.ts';

export interface TrainerOptions {
  readonly optimizer?: Partial<OptimizerOptions>;
  readonly schedule: CosineSchedule | Schedule;
  /** Gradients are scaled down to this norm where theirs is larger; null: never. */
  readonly clip?: number | null;
  readonly recompute?: Recompute;
  readonly guard?: Partial<GuardOptions>;
  readonly collective?: Collective;
  /** Wraps the operations that the model is given: adapters. */
  readonly decorate?: (ops: Tape['ops']) => Ops;
}

export interface StepResult {
  /** Before the update. */
  readonly loss: number;
  /** Before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly labelCount: number;
  /** null; or why the guard left the update out. */
  readonly skipped: string | null;
}

/** Each row's weight in the loss, or a function that finds it from the rows' own losses (DPO). */
export type RowWeights = Float64Array | ((losses_N: Float64Array) => Float64Array);

export class StepTrainer {
  readonly model: Model;
  readonly optimizer: Optimizer;
  readonly guard: Guard;
  readonly parameters: readonly TrainableParameter[];
  /** The model as it computes outside of steps: batch norms by their running statistics. */
  private readonly evaluated: Model;
  private readonly statistics: readonly Tensor[];
  /** What they were before the step's gradients. */
  private statisticsBefore: readonly Floats[] = [];
  private readonly device: TrainingDevice;
  private readonly schedule: Schedule;
  private readonly clip: number | null;
  private readonly recompute: Recompute;
  private readonly onAnomaly: GuardOptions['onAnomaly'];
  private readonly collective: Collective;
  private readonly decorate: (ops: Tape['ops']) => Ops;

  constructor(
    device: TrainingDevice,
    model: Model,
    parameters: readonly TrainableParameter[],
    options: TrainerOptions,
  ) {
    const { schedule, clip = 1, recompute = 'none', collective = solo, decorate = (ops) => ops } = options;
    this.device = device;
    this.model = model;
    this.evaluated = rebuild(model, { usesBatch: false });
    this.statistics = statisticsOf(model);
    this.parameters = parameters;
    this.schedule = typeof schedule === 'function' ? schedule : cosineSchedule(schedule);
    this.clip = clip;
    this.recompute = recompute;
    this.collective = collective;
    this.decorate = decorate;
    this.optimizer = new Optimizer(device, parameters, { ...paperOptimizer, ...options.optimizer }, collective);
    const guard = { ...defaultGuard, ...options.guard };
    this.guard = new Guard(guard);
    this.onAnomaly = guard.onAnomaly;
  }

  /** One step over one entry per micro-batch. Throws AnomalyError when the guard says stop; nothing has been updated then. */
  step(microBatches: readonly MicroBatch[]): StepResult {
    const loss = this.computeGradients(microBatches);
    return this.update(loss);
  }

  /** The mean loss over all labels, and its gradients in every parameter's `gradient`. */
  computeGradients(microBatches: readonly MicroBatch[]): { readonly loss: number; readonly labelCount: number } {
    const { vocabSize, norm } = this.model.config;
    for (const micro of microBatches) checkMicroBatch(micro);
    // A batch norm looks at the whole micro-batch.
    const passes = norm === 'batch' ? microBatches : microBatches.flatMap((micro) => splitMicroBatch(micro));
    const prepared = passes.map((micro) => prepareBatch(micro, vocabSize));
    const totals = Float64Array.of(
      prepared.reduce((sum, { targetCount }) => sum + targetCount, 0),
      0,
    );
    this.collective.sum(totals);
    const labelCount = totals[0]!;
    if (labelCount === 0) {
      const message =
        'training batch: expected at least one label, found none in the whole step. Is every token masked?';
      throw new ArgumentError('training.no-labels', message);
    }
    this.clearGradients();
    let sum = 0;
    for (const { batch, targets_N } of prepared) {
      const weights_N = new Float64Array(targets_N.length).fill(1 / labelCount);
      sum += total(this.pass(batch, targets_N, weights_N));
    }
    const losses = Float64Array.of(sum);
    this.collective.sum(losses);
    return { loss: losses[0]! / labelCount, labelCount };
  }

  /** What every pass over a step begins with. */
  clearGradients(): void {
    this.statisticsBefore = this.statistics.map((tensor) => this.device.view(tensor).slice());
    for (const { gradient } of this.parameters) gradient.isEmpty = true;
  }

  /** Forward and backward: returns each row's loss, and adds the gradient of Σ weight · loss to the parameters' gradients. */
  pass(batch: PreparedBatch['batch'], targets_N: Int32Array, weights: RowWeights): Float64Array {
    const { device, model } = this;
    const { backward } = device;
    const mark = device.mark();
    const gradients = new Map(this.parameters.map(({ tensor, gradient }) => [tensor, gradient]));
    const tape = new Tape(device, gradients, this.recompute);
    const segment = tape.segment.bind(tape);
    const ops = this.decorate(tape.ops);
    const x_ND = model.headInput(ops, hidden(model, ops, batch, { segment }));
    const head_VD = model.head_VD ?? model.embed_VD;
    const weights_N =
      typeof weights === 'function'
        ? weights(backward.crossEntropy(null, null, x_ND, head_VD, targets_N, new Float64Array(targets_N.length)))
        : weights;
    const dHead_VD = gradients.get(head_VD) ?? null;
    const losses_N = backward.crossEntropy(tape.gradientOf(x_ND), dHead_VD, x_ND, head_VD, targets_N, weights_N);
    tape.backward();
    device.release(mark);
    return losses_N;
  }

  /** Forward only: the loss of every row. */
  losses({ batch, targets_N }: PreparedBatch): Float64Array {
    const { device, evaluated: model } = this;
    const mark = device.mark();
    const segment: Tape['segment'] = (input, run) => {
      const inner = device.mark();
      return device.keep(inner, [run(input)])[0]!;
    };
    const ops = this.decorate({ ...device.ops });
    const x_ND = model.headInput(ops, hidden(model, ops, batch, { segment }));
    const head_VD = model.head_VD ?? model.embed_VD;
    const weights_N = new Float64Array(targets_N.length);
    const losses_N = device.backward.crossEntropy(null, null, x_ND, head_VD, targets_N, weights_N);
    device.release(mark);
    return losses_N;
  }

  /** The scores of what comes after `ids`: one number per piece of the vocabulary. */
  nextLogits(ids: Uint32Array): Float64Array {
    const { device, evaluated: model } = this;
    const mark = device.mark();
    const ops = this.decorate({ ...device.ops });
    const { batch } = prepareBatch({ ids, rows: 1, length: ids.length }, model.config.vocabSize);
    const logits_1V = forward(model, ops, batch, { rows_R: Uint32Array.of(ids.length - 1) });
    const logits = Float64Array.from(device.view(logits_1V));
    device.release(mark);
    return logits;
  }

  /** Sums the gradients over the ranks, clips them and moves the parameters, unless the guard objects. */
  update({ loss, labelCount }: { readonly loss: number; readonly labelCount: number }): StepResult {
    const { device, clip, guard } = this;
    let squares = 0;
    for (const { gradient } of this.parameters) {
      if (gradient.isEmpty) device.view(gradient.tensor).fill(0);
      gradient.isEmpty = false;
      if (this.collective.size > 1) this.collective.sum(device.view(gradient.tensor) as Float32Array);
      squares += device.sumSquares(gradient.tensor);
    }
    const gradientNorm = Math.sqrt(squares);
    const learningRate = this.schedule(this.optimizer.step);
    const problem = guard.judge(loss, gradientNorm, () => this.firstBadGradient());
    // The running statistics have moved with the forward passes of a step that is not to count.
    if (problem)
      for (const [i, tensor] of this.statistics.entries()) device.view(tensor).set(this.statisticsBefore[i]!);
    if (problem && this.onAnomaly === 'stop') {
      const advice = 'Go on from the last checkpoint with a lower learning rate, or let the guard skip such steps.';
      throw new AnomalyError('training.anomaly', `training step ${this.optimizer.step}: ${problem}. ${advice}`);
    }
    if (problem) this.optimizer.step++;
    else this.optimizer.update(learningRate, clip === null ? 1 : Math.min(1, clip / (gradientNorm + 1e-6)));
    return { loss, gradientNorm, learningRate, labelCount, skipped: problem };
  }

  private firstBadGradient(): string | null {
    const bad = this.parameters.find(({ gradient }) => !Number.isFinite(this.device.sumSquares(gradient.tensor)));
    return bad?.name ?? null;
  }
}

function total(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
