/**
 * One training step: loss and gradients of some micro-batches, clipped, then the optimizer.
 *
 *   loss = Σ over all labels of −log p(label) / number of labels, over all micro-batches and ranks together
 *
 * so that splitting a batch, or spreading it over ranks, changes nothing but rounding.
 */

import { type Recompute, Tape } from '../autograd/tape.ts';
import { assert } from '../base/assert.ts';
import { ArgumentError } from '../base/errors.ts';
import { type Device, readDoubles } from '../devices/device.ts';
import type { Ops } from '../kernels/ops.ts';
import { forward, hidden, keepOutputs } from '../model/llama.ts';
import { type Model, rebuild, statisticsOf } from '../model/model.ts';
import type { Tensor } from '../tensor/tensor.ts';
import { type Collective, solo } from './collective.ts';
import { AnomalyError, defaultGuard, Guard, type GuardOptions } from './guard.ts';
import {
  checkMicroBatch,
  type MicroBatch,
  type PreparedBatch,
  placed,
  prepareBatch,
  splitMicroBatch,
} from './micro-batch.ts';
import { Optimizer, type OptimizerOptions, paperOptimizer, type TrainableParameter } from './optimizer.ts';
import { DataParallel, type DataParallelOptions } from './ranks/data-parallel.ts';
import type { SmallBatch } from './run/noise-scale.ts';
import { type CosineSchedule, cosineSchedule, type Schedule } from './schedule.ts';
import { type DropoutOptions, StepDropping } from './step/dropping.ts';
import { meanLosses, meanSmallBatch, type StepLosses } from './step/losses.ts';
import { WeightAverage } from './step/weight-average.ts';

export interface TrainerOptions {
  readonly optimizer?: Partial<OptimizerOptions>;
  readonly schedule: CosineSchedule | Schedule;
  /** Gradients are scaled down to this norm where theirs is larger; null: never. */
  readonly clip?: number | null;
  /** Weight of the penalty (ln Z)² of every label, which keeps the logits' normalizer Z near 1; absent: none. */
  readonly zLoss?: number;
  /** Decay of the exponential moving average of the weights; null: none is kept. */
  readonly ema?: number | null;
  readonly recompute?: Recompute;
  /** How many sources the micro-batches' documents are from, to tell their losses apart; absent: they are not. */
  readonly sourceCount?: number;
  /** Random zeros in training, as GPT has them; absent: none, as in LLaMA's papers. */
  readonly dropout?: DropoutOptions;
  /** Whether steps tell the gradient of a part of their batch: see run/noise-scale.ts. */
  readonly measuresNoise?: boolean;
  readonly guard?: Partial<GuardOptions>;
  readonly collective?: Collective;
  /** Of several ranks; the parameters must have been placed for the same sharding. Default: sharding 'optimizer'. */
  readonly parallel?: DataParallelOptions;
  /** Wraps the operations that the model is given: adapters. */
  readonly decorate?: (ops: Tape['ops']) => Ops;
  /** After every update: what is computed from the parameters once a step. */
  readonly afterUpdate?: () => Promise<void>;
}

export interface StepResult extends StepLosses {
  /** Where a step has several passes or ranks, and it was asked for. */
  readonly smallBatch?: SmallBatch;
  /** Before clipping. */
  readonly gradientNorm: number;
  readonly learningRate: number;
  readonly labelCount: number;
  /** null; or why the guard left the update out. */
  readonly skipped: string | null;
}

/** Of which weights a model is: those that steps move, or their average. */
export type Weights = 'trained' | 'averaged';

export class StepTrainer {
  readonly model: Model;
  readonly optimizer: Optimizer;
  /** null: none is kept. */
  readonly average: WeightAverage | null;
  readonly guard: Guard;
  readonly parameters: readonly TrainableParameter[];
  /** The model as it computes outside of steps: batch norms by their running statistics. */
  private readonly evaluated: Model;
  private readonly statistics: readonly Tensor[];
  /** What they were before the step's gradients. */
  private readonly statisticsBefore: readonly Tensor[];
  private readonly device: Device;
  private readonly schedule: Schedule;
  private readonly clip: number | null;
  private readonly zLoss: number;
  private readonly dropping: StepDropping | null;
  private readonly recompute: Recompute;
  private readonly sourceCount: number;
  private readonly measuresNoise: boolean;
  private readonly collective: Collective;
  /** null on one rank. */
  private readonly parallel: DataParallel | null;
  private readonly decorate: (ops: Tape['ops']) => Ops;
  private readonly afterUpdate: (() => Promise<void>) | undefined;

  constructor(device: Device, model: Model, parameters: readonly TrainableParameter[], options: TrainerOptions) {
    const {
      schedule,
      clip = 1,
      zLoss = 0,
      ema = null,
      recompute = 'none',
      collective = solo,
      decorate = (ops) => ops,
    } = options;
    this.device = device;
    this.dropping = options.dropout ? new StepDropping(options.dropout) : null;
    this.model = this.dropping ? rebuild(model, { ...model.build, dropping: this.dropping }) : model;
    this.evaluated = rebuild(model, { usesBatch: false });
    this.average = ema === null ? null : new WeightAverage(device, this.evaluated, parameters, ema);
    this.statistics = statisticsOf(model);
    this.statisticsBefore = this.statistics.map(({ shape }) => device.allocate(shape));
    this.parameters = parameters;
    this.schedule = typeof schedule === 'function' ? schedule : cosineSchedule(schedule);
    this.clip = clip;
    this.zLoss = zLoss;
    this.recompute = recompute;
    this.sourceCount = options.sourceCount ?? 0;
    this.measuresNoise = options.measuresNoise ?? false;
    this.collective = collective;
    this.decorate = decorate;
    this.afterUpdate = options.afterUpdate;
    const parallel = options.parallel ?? { sharding: 'optimizer' };
    const ranks = { rank: collective.rank, size: collective.size, sharding: parallel.sharding };
    this.optimizer = new Optimizer(device, parameters, { ...paperOptimizer, ...options.optimizer }, ranks);
    this.parallel = collective.size > 1 ? new DataParallel(device, collective, this.optimizer, parallel) : null;
    this.guard = new Guard({ ...defaultGuard, ...options.guard });
  }

  /** One step over one entry per micro-batch. Throws AnomalyError when the guard says stop; nothing has been updated then. */
  async step(microBatches: readonly MicroBatch[]): Promise<StepResult> {
    const mark = this.device.mark();
    const { losses, labelCount } = await this.computePasses(microBatches);
    return this.update({ loss: losses, labelCount }, mark);
  }

  /** The mean loss over all labels, and its gradients in every parameter's `gradient`. */
  async computeGradients(microBatches: readonly MicroBatch[]): Promise<StepLosses & { readonly labelCount: number }> {
    const mark = this.device.mark();
    const { losses, labelCount } = await this.computePasses(microBatches);
    this.device.release(mark);
    return { ...(await losses()), labelCount };
  }

  /** The passes of a step, and the reading of their losses. */
  private async computePasses(microBatches: readonly MicroBatch[]): Promise<{
    readonly losses: () => Promise<StepLosses & Pick<StepResult, 'smallBatch'>>;
    readonly labelCount: number;
  }> {
    const { vocabSize, norm } = this.model.config;
    for (const micro of microBatches) checkMicroBatch(micro);
    // A batch norm looks at the whole micro-batch.
    const all = placed(microBatches);
    const passes = norm === 'batch' ? all : all.flatMap((micro) => splitMicroBatch(micro));
    const prepared = passes.map((micro) => prepareBatch(micro, vocabSize));
    const { collective, parallel } = this;
    // The labels of all ranks, and how many passes each of them has.
    const totals = new Float64Array(1 + collective.size);
    totals[0] = prepared.reduce((sum, { targetCount }) => sum + targetCount, 0);
    totals[1 + collective.rank] = prepared.length;
    collective.sum(totals);
    const labelCount = totals[0]!;
    if (labelCount === 0) {
      const message =
        'training batch: expected at least one label, found none in the whole step. Is every token masked?';
      throw new ArgumentError('training.no-labels', message);
    }
    this.clearGradients();
    const { zLoss, sourceCount } = this;
    const measured = this.measuresNoise && (prepared.length > 1 || collective.size > 1);
    let small: Promise<SmallBatch> | null = null;
    const queued: { readonly prepared: PreparedBatch; readonly reading: Promise<Float64Array> }[] = [];
    for (const [i, one] of prepared.entries()) {
      const weights_N = new Float64Array(one.targets_N.length).fill(1 / labelCount);
      this.dropping?.begin(this.optimizer.step, one.firstToken);
      const steps = this.passSteps(one.batch, one.targets_N, weights_N, zLoss);
      const handsOver = parallel?.handsOver(i === prepared.length - 1) === true;
      const losses_N = handsOver ? await this.handOver(steps) : resultOf(steps);
      if (i === 0 && measured) small = this.readSmallBatch(one.targetCount, labelCount);
      queued.push({ prepared: one, reading: readDoubles(this.device, losses_N) });
    }
    const most = Math.max(...totals.subarray(1));
    if (parallel?.sumsEveryPass) for (let i = prepared.length; i < most; i++) await parallel.idlePass();
    const losses = async () => {
      const read = async ({ prepared: one, reading }: (typeof queued)[number]) => ({
        prepared: one,
        losses: await reading,
      });
      const parts = { hasPenalty: zLoss > 0, sourceCount };
      const means = meanLosses(await Promise.all(queued.map(read)), labelCount, parts, collective);
      const smallBatch = this.measuresNoise ? meanSmallBatch(await small, collective) : null;
      return { ...means, ...(smallBatch && { smallBatch }) };
    };
    return { losses, labelCount };
  }

  /** The gradient of what has gone through so far, `count` labels of the step's `labelCount`. */
  private async readSmallBatch(count: number, labelCount: number): Promise<SmallBatch> {
    const sent = this.parallel?.sentSquares() ?? null;
    if (sent !== null) return { squares: sent * (labelCount / count) ** 2, inverseLabels: 1 / count };
    const gradients = this.parameters
      .filter(({ gradient }) => !gradient.isEmpty)
      .map(({ gradient }) => gradient.tensor);
    const squares = await readDoubles(this.device, this.device.sumSquares(gradients));
    return { squares: total(squares) * (labelCount / count) ** 2, inverseLabels: 1 / count };
  }

  /** What every pass over a step begins with. */
  clearGradients(): void {
    for (const [i, tensor] of this.statistics.entries()) this.device.copy(this.statisticsBefore[i]!, tensor);
    for (const { gradient } of this.parameters) gradient.isEmpty = true;
    this.parallel?.clear();
  }

  /**
   * Forward and backward: adds the gradient of Σ weights_n · loss_n to the parameters' gradients. Returns each row's loss, in the arena;
   * with zLoss the penalties of the normalizer are behind the losses, and part of the gradient.
   */
  pass(batch: PreparedBatch['batch'], targets_N: Int32Array, weights_N: Float64Array, zLoss = 0): Tensor {
    return resultOf(this.passSteps(batch, targets_N, weights_N, zLoss));
  }

  /** The same; yields the number of each block whose gradients are finished. */
  private *passSteps(
    batch: PreparedBatch['batch'],
    targets_N: Int32Array,
    weights_N: Float64Array,
    zLoss: number,
  ): Generator<number, Tensor> {
    const { device } = this;
    const mark = device.mark();
    const { tape, x_ND, head_VD, gradients } = this.forwardPass(batch);
    const losses_N = yield* this.backwardSteps(tape, x_ND, head_VD, gradients, targets_N, weights_N, zLoss);
    return device.keep(mark, [losses_N])[0]!;
  }

  /** Runs a pass whose gradients travel as they are finished. */
  private async handOver(steps: Generator<number, Tensor>): Promise<Tensor> {
    for (;;) {
      const { done, value } = steps.next();
      await this.parallel!.handOver(done ? null : value);
      if (done) return value;
    }
  }

  /** A pass whose weights follow from the rows' own losses (preference losses): these are read in between. */
  async passWeighted(
    batch: PreparedBatch['batch'],
    targets_N: Int32Array,
    weigh: (losses_N: Float64Array) => Float64Array,
  ): Promise<Float64Array> {
    const { device } = this;
    const mark = device.mark();
    const { tape, x_ND, head_VD, gradients } = this.forwardPass(batch);
    const none = new Float64Array(targets_N.length);
    const { cap } = this;
    const losses_N = device.backward.crossEntropy(null, null, x_ND, head_VD, targets_N, none, { cap });
    const weights_N = weigh(await readDoubles(device, losses_N));
    const steps = this.backwardSteps(tape, x_ND, head_VD, gradients, targets_N, weights_N);
    const result = readDoubles(device, resultOf(steps));
    device.release(mark);
    return result;
  }

  /** Of the logits. */
  private get cap(): number | undefined {
    return this.model.config.logitCap ?? undefined;
  }

  private forwardPass(batch: PreparedBatch['batch']) {
    const { device, model } = this;
    const gradients = new Map(this.parameters.map(({ tensor, gradient }) => [tensor, gradient]));
    const tape = new Tape(device, gradients, this.recompute);
    const ops = this.decorate(tape.ops);
    const segment = this.brought(tape.segment.bind(tape));
    const x_ND = model.headInput(ops, hidden(model, ops, batch, { segment }));
    return { tape, x_ND, head_VD: model.head_VD ?? model.embed_VD, gradients };
  }

  /** `segment` on several ranks that share the parameters. */
  private brought(segment: ReturnType<typeof keepOutputs>): typeof segment {
    return this.parallel?.sharesParameters ? this.parallel.brought(segment) : segment;
  }

  private *backwardSteps(
    tape: Tape,
    x_ND: Tensor,
    head_VD: Tensor,
    gradients: ReadonlyMap<Tensor, TrainableParameter['gradient']>,
    targets_N: Int32Array,
    weights_N: Float64Array,
    zLoss = 0,
  ): Generator<number, Tensor> {
    const dHead_VD = gradients.get(head_VD) ?? null;
    const dx_ND = tape.gradientOf(x_ND);
    const { cap } = this;
    const { backward } = this.device;
    const losses_N = backward.crossEntropy(dx_ND, dHead_VD, x_ND, head_VD, targets_N, weights_N, { cap, zLoss });
    yield* tape.backwardSteps((block) => this.parallel?.bring(block));
    return losses_N;
  }

  /** The model as it computes outside of steps; its blocks are brought as they are run. */
  private evaluatedBy(weights: Weights): Model {
    assert(
      weights === 'trained' || this.average !== null,
      'trainer: averaged weights are asked for, and none are kept',
    );
    const average = weights === 'averaged' ? this.average : null;
    this.parallel?.show(average);
    return average?.model ?? this.evaluated;
  }

  /** Forward only: the loss of every row. */
  async losses({ batch, targets_N }: PreparedBatch, weights: Weights = 'trained'): Promise<Float64Array> {
    const { device, cap } = this;
    const model = this.evaluatedBy(weights);
    const mark = device.mark();
    const ops = this.decorate(exactly(device.ops));
    const x_ND = model.headInput(ops, hidden(model, ops, batch, { segment: this.brought(keepOutputs(device)) }));
    const head_VD = model.head_VD ?? model.embed_VD;
    const weights_N = new Float64Array(targets_N.length);
    const { backward } = device;
    const losses_N = backward.crossEntropy(null, null, x_ND, head_VD, targets_N, weights_N, { cap });
    const losses = readDoubles(device, losses_N);
    device.release(mark);
    return losses;
  }

  /** What a rank does that has nothing to compute where others call `losses`. */
  idleLosses(weights: Weights = 'trained'): void {
    this.evaluatedBy(weights);
    this.parallel?.idleForward();
  }

  /** Bytes that several ranks need outside of the device. */
  heldBytes(): number {
    return (this.parallel?.heldBytes() ?? 0) + (this.average?.heldBytes() ?? 0);
  }

  /** Whether every rank must take part in every forward pass. */
  get isJoint(): boolean {
    return this.parallel?.sharesParameters === true;
  }

  /** The scores of what comes after `ids`: one number per piece of the vocabulary. */
  async nextLogits(ids: Uint32Array, weights: Weights = 'trained'): Promise<Float64Array> {
    const { device } = this;
    const model = this.evaluatedBy(weights);
    const mark = device.mark();
    const ops = this.decorate(exactly(device.ops));
    const { batch } = prepareBatch({ ids, rows: 1, length: ids.length }, model.config.vocabSize);
    const segment = this.brought(keepOutputs(device));
    const logits = readDoubles(device, forward(model, ops, batch, { segment, rows_R: Uint32Array.of(ids.length - 1) }));
    device.release(mark);
    return logits;
  }

  /**
   * Sums the gradients over the ranks, clips them and moves the parameters, unless the guard objects. `loss` may be a function that
   * reads it, and what is to be told beside it: these and the gradient norm are then waited for together. What the step kept since `mark` is released.
   */
  async update(
    { loss, labelCount }: { readonly loss: number | (() => Promise<StepLosses>); readonly labelCount: number },
    mark = this.device.mark(),
  ): Promise<StepResult> {
    const { device, clip, guard } = this;
    await this.parallel?.finish();
    const reading = this.parallel?.squares() ?? this.readSquares();
    device.release(mark);
    const means = typeof loss === 'number' ? { loss } : await loss();
    const squares = await reading;
    const gradientNorm = Math.sqrt(total(squares));
    const learningRate = this.schedule(this.optimizer.step);
    const verdict = guard.judge(means.loss, gradientNorm, () => {
      const bad = squares.findIndex((sum) => !Number.isFinite(sum));
      return this.parameters[bad]?.name ?? null;
    });
    // The running statistics have moved with the forward passes of a step that is not to count.
    if (verdict) for (const [i, tensor] of this.statistics.entries()) device.copy(tensor, this.statisticsBefore[i]!);
    if (verdict?.kind === 'end') {
      throw new AnomalyError(`training step ${this.optimizer.step + 1}: ${verdict.words}`, verdict.isDestroyed);
    }
    if (verdict) this.optimizer.step++;
    else {
      await (this.parallel ?? this.optimizer).update(
        learningRate,
        clip === null ? 1 : Math.min(1, clip / (gradientNorm + 1e-6)),
      );
      await this.afterUpdate?.();
      await this.average?.update();
    }
    return { ...means, gradientNorm, learningRate, labelCount, skipped: verdict?.words ?? null };
  }

  /** Σ g² of each parameter. */
  private readSquares(): Promise<Float64Array> {
    const { device, parameters } = this;
    for (const { gradient } of parameters) {
      if (gradient.isEmpty) device.fill(gradient.tensor, 0);
      gradient.isEmpty = false;
    }
    return readDoubles(device, device.sumSquares(parameters.map(({ gradient }) => gradient.tensor)));
  }
}

/** What a generator comes to, without a stop in between. */
function resultOf(steps: Generator<unknown, Tensor>): Tensor {
  for (;;) {
    const { done, value } = steps.next();
    if (done) return value;
  }
}

/** Operations whose products are those of training, for passes without a tape. */
function exactly(ops: Device['ops']): Device['ops'] {
  return { ...ops, linear: ops.linearExact };
}

function total(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
