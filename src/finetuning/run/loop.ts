/**
 * A fine-tuning run: steps of a method, validation, checkpoints, until it is done or somebody stops it. Files, clock and terminal are
 * passed in. Stopped anywhere, it loses at most what came after the last checkpoint, and goes on to the same bits.
 */
import type { Guard, GuardState } from '../../training/guard.ts';
import { isKept, Pace } from '../../training/run/loop.ts';
import type { RunInputs } from '../../training/run/resume.ts';
import { smoothed } from '../../training/run/smoothed.ts';
import type { TuningMethod } from '../methods/method.ts';

/** One line of metrics.jsonl. */
export interface TuningMetrics {
  readonly step: number;
  readonly tokens: number;
  readonly loss: number;
  readonly smoothedLoss: number;
  readonly learningRate: number;
  readonly gradientNorm: number;
  readonly tokensPerSecond: number;
  readonly seconds: number;
  /** What the method measures besides, by name. */
  readonly numbers: Readonly<Record<string, number>>;
  readonly alarms: readonly string[];
  readonly skipped?: string;
  readonly validation?: Readonly<Record<string, number>>;
  readonly sample?: string;
}

/** All of a run but its numbers: what state.json holds. */
export interface TuningState {
  readonly step: number;
  readonly tokens: number;
  readonly guard: GuardState;
  readonly smoothedLoss: number | null;
  readonly best: { readonly step: number; readonly loss: number } | null;
  /** Validations since the best. */
  readonly sinceBest: number;
  /** What the run was given, to notice what has changed; an earlier version kept the recipe alone. */
  readonly recipe: unknown;
  readonly digests?: RunInputs['digests'];
  readonly bits?: RunInputs['bits'];
  readonly seconds: number;
  /** Why it ended before its last step. */
  readonly ended?: string;
}

export interface TuningPorts {
  /** Milliseconds. */
  clock(): number;
  /** True once the run is to end after the step in flight. All ranks must agree. */
  isStopped(): boolean;
  save(state: TuningState): Promise<void>;
  /** Called after every step; `etaSeconds` is a guess. */
  record(metrics: TuningMetrics, etaSeconds: number): void;
  /** What the model answers now, for people; null: the method shows its own. */
  sample(step: number): Promise<string | null>;
  /** Lets signals and timers run. */
  breathe(): Promise<void>;
}

export interface TuningRun {
  readonly method: TuningMethod;
  readonly guard: Guard;
  readonly recipe: {
    readonly output: {
      readonly validateEvery: number;
      readonly checkpointEvery: number;
      readonly sampleEvery: number;
      readonly keepEvery?: number | undefined;
    };
  };
  /** Ends when so many validations in a row were not better; null: never. */
  readonly patience: number | null;
  /** What its states are to remember of what it was given. */
  readonly inputs: RunInputs;
}

const SMOOTHING = 0.9;

/** Runs from `start` (null: from the beginning) and returns the last state. */
export async function runTuning(run: TuningRun, start: TuningState | null, ports: TuningPorts): Promise<TuningState> {
  const { method, guard, recipe, patience, inputs } = run;
  const { validateEvery, checkpointEvery, sampleEvery } = recipe.output;
  const fresh = {
    step: 0,
    tokens: 0,
    guard: { loss: [], norm: [] },
    smoothedLoss: null,
    best: null,
    sinceBest: 0,
    seconds: 0,
  };
  let state: TuningState = { ...(start ?? fresh), ...inputs };
  if (start) guard.restore(start.guard);
  const begun = ports.clock();
  const secondsBefore = state.seconds;
  const pace = new Pace(begun);
  let saved = start ? state.step : -1;
  while (state.step < method.totalSteps && state.ended === undefined && !ports.isStopped()) {
    const from = ports.clock();
    const { end, sample, numbers, alarms, tokens, loss, gradientNorm, learningRate, skipped } = await method.step(
      state.step,
    );
    const elapsed = (ports.clock() - from) / 1000;
    const step = state.step + 1;
    const isLast = step === method.totalSteps || end !== undefined;
    const smoothedLoss = smoothed(state.smoothedLoss, skipped === null ? loss : null, step, SMOOTHING);
    const validation = isLast || step % validateEvery === 0 ? await method.validate() : null;
    // A loss that is no number is not less than any.
    const isBest = validation?.loss !== undefined && validation.loss < (state.best?.loss ?? Number.POSITIVE_INFINITY);
    const sinceBest = isBest ? 0 : state.sinceBest + (validation ? 1 : 0);
    const patienceEnds = patience !== null && sinceBest >= patience;
    const ended = end ?? (patienceEnds ? `${sinceBest} validations in a row were not better` : undefined);
    state = {
      ...state,
      step,
      tokens: state.tokens + tokens,
      smoothedLoss,
      best: isBest ? { step, loss: validation!.loss! } : state.best,
      sinceBest,
      seconds: secondsBefore + (ports.clock() - begun) / 1000,
      guard: guard.save(),
      ...(ended !== undefined && { ended }),
    };
    const shown = isLast || step % sampleEvery === 0 ? ((await ports.sample(step)) ?? sample) : undefined;
    ports.record(
      {
        step,
        tokens: state.tokens,
        loss,
        smoothedLoss,
        learningRate,
        gradientNorm,
        tokensPerSecond: tokens / elapsed,
        seconds: state.seconds,
        numbers,
        alarms: ended === undefined || ended === end ? alarms : [...alarms, ended],
        ...(skipped !== null && { skipped }),
        ...(validation && { validation }),
        ...(shown !== undefined && { sample: shown }),
      },
      ((method.totalSteps - step) * pace.next(ports.clock())) / 1000,
    );
    if (isLast || ended !== undefined || step % checkpointEvery === 0 || isBest || isKept(step, recipe.output)) {
      await ports.save(state);
      saved = step;
    }
    await ports.breathe();
  }
  if (saved !== state.step) await ports.save(state);
  return state;
}
