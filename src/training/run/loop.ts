/**
 * A training run: steps, validation, samples and checkpoints until the tokens are used up or somebody stops it. Files, clock and
 * terminal are passed in. Stopped anywhere, it loses at most what came after the last checkpoint, and goes on to the same bits.
 */
import type { Collective } from '../collective.ts';
import type { Packer } from '../data/packer.ts';
import { isDestroyed } from '../guard.ts';
import type { MicroBatch } from '../micro-batch.ts';
import { shardOf } from '../ranks/parts.ts';
import { microBatchesAfter } from '../recipe/batch-ramp.ts';
import type { DerivedRecipe, Recipe } from '../recipe/recipe.ts';
import type { StepTrainer } from '../trainer.ts';
import { flopsPerToken } from './estimate.ts';
import { noiseScale, withStep } from './noise-scale.ts';
import type { RunInputs } from './resume.ts';
import { SMOOTHING, smoothed } from './smoothed.ts';
import { type SourceMetrics, sourceMetrics } from './source-metrics.ts';
import type { RunState } from './state.ts';
import { type ValidationMetrics, type ValidationSet, validate } from './validate.ts';

/** One line of metrics.jsonl. */
export interface StepMetrics {
  readonly step: number;
  readonly tokens: number;
  /** Of the step, where the batch grows. */
  readonly batchTokens?: number;
  readonly loss: number;
  /** The penalty of the normalizer, where the recipe has one. */
  readonly zLoss?: number;
  readonly smoothedLoss: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  /** Tokens of a batch from which on larger ones pay less; where a step has several passes or ranks. */
  readonly noiseScale?: number;
  readonly tokensPerSecond: number;
  /** Part of the machine's measured matrix-product rate. */
  readonly utilization: number;
  readonly seconds: number;
  readonly skipped?: string;
  /** Why the run has gone back to the step before this one. */
  readonly returned?: string;
  readonly validation?: ValidationMetrics;
  /** Where there are several: every source by its name. */
  readonly sources?: Readonly<Record<string, SourceMetrics>>;
  readonly sample?: string;
}

export interface RunPorts {
  /** Milliseconds. */
  clock(): number;
  /** True once the run is to end after the step in flight. All ranks must agree. */
  isStopped(): boolean;
  save(state: RunState): Promise<void>;
  /** Called after every step; `etaSeconds` is a guess. */
  record(metrics: StepMetrics, etaSeconds: number): void;
  /** A text that the model continues, for people. */
  sample(step: number): Promise<string>;
  /** Lets signals and timers run. */
  breathe(): Promise<void>;
}

export interface RunParts {
  readonly recipe: Recipe;
  readonly derived: DerivedRecipe;
  readonly trainer: StepTrainer;
  readonly packer: Packer;
  readonly validations: readonly ValidationSet[];
  /** Floating-point operations a second of a large matrix product here. */
  readonly peakFlops: number;
  readonly collective: Collective;
  /** What its states are to remember of what it was given. */
  readonly inputs: RunInputs;
}

/** Steps that the expected time looks back on. */
const PACE_STEPS = 200;

/** Runs from `start` (null: from the beginning) and returns the last state. */
export async function runTraining(parts: RunParts, start: RunState | null, ports: RunPorts): Promise<RunState> {
  const { recipe, derived, trainer, packer, collective, inputs } = parts;
  const { validateEvery, checkpointEvery, sampleEvery } = recipe.output;
  const length = derived.config.contextLength;
  const flops = flopsPerToken(derived.config, length);
  let state: RunState = { ...(start ?? freshState(packer)), ...inputs };
  if (start) {
    packer.restore(start.cursor);
    trainer.guard.restore(start.guard);
  }
  const back = state.returns?.at(-1);
  const begun = ports.clock();
  const secondsBefore = state.seconds;
  let saved = state.step;
  const pace = new Pace(begun);
  while (state.step < derived.totalSteps && !ports.isStopped()) {
    const from = ports.clock();
    const count = microBatchesAfter(state.tokens, derived.ramp);
    const batchTokens = count * derived.rows * length;
    const micro = Array.from({ length: count }, (_, i) => {
      return { ...packer.next(derived.rows, length), firstToken: i * derived.rows * length };
    });
    const result = await trainer.step(rowsOfRank(micro, collective));
    const elapsed = (ports.clock() - from) / 1000;
    const step = state.step + 1;
    const tokens = state.tokens + batchTokens;
    const last = step === derived.totalSteps;
    const counted = result.skipped === null ? result.loss : null;
    const smoothedLoss = smoothed(state.smoothedLoss, counted, step, SMOOTHING);
    const small = result.skipped === null ? result.smallBatch : undefined;
    const noise = small ? withStep(state.noise ?? null, small, result) : (state.noise ?? null);
    const scale = noiseScale(noise);
    let { best } = state;
    let validation: StepMetrics['validation'];
    if (last || step % validateEvery === 0) {
      validation = await validate(parts);
      const { loss, bitsPerByte } = validation;
      const isBest = best === null || bitsPerByte < best.bitsPerByte;
      if (isBest && !isDestroyed(loss, derived.config.vocabSize)) best = { step, bitsPerByte };
    }
    const isSampled = last || step % sampleEvery === 0;
    const sample = isSampled && (collective.rank === 0 || trainer.isJoint) ? await ports.sample(step) : undefined;
    const seconds = secondsBefore + (ports.clock() - begun) / 1000;
    const rate = batchTokens / elapsed;
    state = {
      ...state,
      step,
      tokens,
      smoothedLoss,
      ...(noise && { noise }),
      best,
      seconds,
      cursor: packer.cursor(),
      guard: trainer.guard.save(),
    };
    ports.record(
      {
        step,
        tokens,
        loss: result.loss,
        ...(derived.ramp.rampTokens > 0 && { batchTokens }),
        ...(result.zLoss !== undefined && { zLoss: result.zLoss }),
        smoothedLoss,
        learningRate: result.learningRate,
        gradientNorm: result.gradientNorm,
        ...(scale !== null && { noiseScale: scale }),
        tokensPerSecond: rate,
        utilization: (flops * rate) / collective.size / parts.peakFlops,
        seconds,
        ...(result.skipped !== null && { skipped: result.skipped }),
        ...(back && step === back.to + 1 && { returned: back.because }),
        ...(validation && { validation }),
        ...(result.sources && { sources: sourceMetrics(packer.progress(), result.sources) }),
        ...(sample !== undefined && { sample }),
      },
      // In steps like this one.
      (((derived.totalTokens - tokens) / batchTokens) * pace.next(ports.clock())) / 1000,
    );
    if (last || step % checkpointEvery === 0 || best?.step === step || isKept(step, recipe.output)) {
      await ports.save(state);
      saved = step;
    }
    await ports.breathe();
  }
  if (saved !== state.step) await ports.save(state);
  return state;
}

/** Milliseconds that a step takes with all that goes with it, over the last of them: a pause long ago says nothing of the time that is left. */
export class Pace {
  private readonly ends: number[];

  constructor(begun: number) {
    this.ends = [begun];
  }

  next(now: number): number {
    this.ends.push(now);
    if (this.ends.length > PACE_STEPS + 1) this.ends.shift();
    return (now - this.ends[0]!) / (this.ends.length - 1);
  }
}

/** Whether a step's checkpoint stays for ever. */
export function isKept(step: number, { keepEvery }: { readonly keepEvery?: number | undefined }): boolean {
  return keepEvery !== undefined && step % keepEvery === 0;
}

function freshState(packer: Packer): Omit<RunState, 'recipe'> {
  return {
    step: 0,
    tokens: 0,
    cursor: packer.cursor(),
    guard: { loss: [], norm: [] },
    smoothedLoss: null,
    best: null,
    seconds: 0,
  };
}

/**
 * Every rank draws all rows of a step, so that the data order does not depend on how many there are, and keeps its own: as many in a row as
 * the others, in parts that are no larger than the micro-batches.
 */
export function rowsOfRank(
  step: readonly MicroBatch[],
  { rank, size }: { readonly rank: number; readonly size: number },
): readonly MicroBatch[] {
  if (size === 1) return step;
  const all = step.reduce((sum, { rows }) => sum + rows, 0);
  const own = shardOf(all, rank, size);
  let before = 0;
  return step.flatMap((micro) => {
    const first = Math.max(0, own.from - before);
    const last = Math.min(micro.rows, own.from + own.count - before);
    before += micro.rows;
    return last > first ? [sliceRows(micro, first, last - first)] : [];
  });
}

function sliceRows(micro: MicroBatch, firstRow: number, rows: number): MicroBatch {
  const { length } = micro;
  const from = firstRow * length;
  const to = from + rows * length;
  const documents: number[] = [];
  const sources: number[] = [];
  let at = 0;
  for (const [i, count] of micro.documents!.entries()) {
    if (at >= from && at < to) {
      documents.push(count);
      sources.push(micro.sources![i]!);
    }
    at += count;
  }
  const ids = Array.prototype.slice.call(micro.ids, from, to);
  const place = micro.firstToken === undefined ? {} : { firstToken: micro.firstToken + from };
  return { ids, rows, length, documents, sources, ...place };
}
