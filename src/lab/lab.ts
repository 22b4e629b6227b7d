/**
 * The lab: small trainings that differ in one thing, and what may be concluded. Which runs there are, in which order, and what comes of
 * them; how they are run, kept and found again is passed in.
 */
import { ArgumentError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import { parameterCount } from '../model/parameters.ts';
import { armConfig, armTraining, type LabSize, type LabTraining, type TrainingChoice } from './arm-model.ts';
import { type Arm, baseline, type Experiment, experiments, quickArms, valley } from './experiments.ts';
import type { RunResult } from './train-once.ts';
import { type Comparison, compareAll } from './verdict.ts';

export interface LabChoice {
  readonly size: LabSize;
  readonly experiments: readonly Experiment[];
  readonly seeds: number;
  /** Whether each arm looks for its own learning rate first. */
  readonly searchesRates: boolean;
  /** Whether the valley of rate and batch is measured too. */
  readonly hasValley: boolean;
}

/** A run to be done, and what it is for. */
export interface PlannedRun {
  readonly purpose: 'rate' | 'table' | 'valley';
  readonly arm: string;
  readonly choice: TrainingChoice;
  readonly training: LabTraining;
}

export interface LabOutside {
  /** Runs all, several at a time; null: somebody stopped it. What is known already is not run again. */
  run(runs: readonly PlannedRun[]): Promise<readonly RunResult[] | null>;
  tell(message: string): void;
}

export interface RatePoint {
  readonly rate: number;
  readonly bitsPerByte: number | null;
}

export interface ArmResult {
  readonly experiment: string;
  readonly arm: Arm;
  readonly parameters: number;
  /** The factor of the derived rate that it was trained with, and how the search for it went. */
  readonly rate: number;
  readonly rates: readonly RatePoint[];
  readonly runs: readonly RunResult[];
}

export interface ValleyPoint {
  readonly rate: number;
  readonly batch: number;
  readonly bitsPerByte: number | null;
}

export interface LabResult {
  readonly choice: LabChoice;
  readonly baseline: ArmResult;
  readonly arms: readonly ArmResult[];
  readonly comparisons: readonly Comparison[];
  readonly valley: readonly ValleyPoint[];
}

/** Of a full run: what one of the rate search takes, and one of the valley. */
const RATE_SHARE = 0.25;
const VALLEY_SHARE = 0.5;
const FIRST_RATES = [1 / 2, 1, 2];
const EXTREME_RATES = [1 / 8, 8];
const RATE_SEED = 1000;
/**
 * Of the loss: how far one run of the search may be off. At twice the derived rate the baseline without weight decay, which does nothing
 * in so short a run, lay 2.1 % from the baseline itself.
 */
export const RATE_NOISE = 0.02;

/** The experiments of these names; none: all. Throws ArgumentError `lab.experiment`. */
export function chooseExperiments(names: readonly string[]): readonly Experiment[] {
  if (names.length === 0) return experiments;
  return names.map((name) => {
    const found = experiments.find((one) => one.name === name);
    if (found) return found;
    const all = experiments.map((one) => one.name);
    const [near] = nearestNames(name, all, 1);
    throw new ArgumentError(
      'lab.experiment',
      `${name}: expected an experiment (${all.join(', ')}).${near ? ` Did you mean ${near}?` : ''}`,
    );
  });
}

/** The table with the arms of --quick alone. */
export function quickExperiments(chosen: readonly Experiment[]): readonly Experiment[] {
  return chosen
    .map((experiment) => ({ ...experiment, arms: experiment.arms.filter(({ name }) => quickArms.includes(name)) }))
    .filter(({ arms }) => arms.length > 0);
}

/** Runs of full length that a lab comes to, the searches included. */
export function costInRuns({ experiments: chosen, seeds, searchesRates, hasValley }: LabChoice): number {
  const arms = 1 + chosen.reduce((sum, { arms }) => sum + arms.length, 0);
  const search = searchesRates ? arms * FIRST_RATES.length * RATE_SHARE : 0;
  return arms * seeds + search + (hasValley ? valley.rates.length * valley.batches.length * VALLEY_SHARE : 0);
}

/** null: it was stopped; the same choice goes on where it was. */
export async function runLab(choice: LabChoice, outside: LabOutside): Promise<LabResult | null> {
  const { size, seeds } = choice;
  const arms = [
    { experiment: '', arm: baseline },
    ...choice.experiments.flatMap(({ name, arms }) => arms.map((arm) => ({ experiment: name, arm }))),
  ];
  for (const { arm } of arms) armConfig(arm, size); // what cannot be made equal is said before the first run
  const rates = choice.searchesRates ? await searchRates(arms, size, outside) : arms.map(() => []);
  if (rates === null) return null;
  const usual = bestRate(rates[0]!);
  const best = rates.map((points) => chosenRate(points, usual));

  const planned = arms.flatMap(({ arm }, i) =>
    Array.from({ length: seeds }, (_, s) => plan('table', arm, size, { seed: s + 1, rate: best[i]! })),
  );
  const results = await outside.run(planned);
  if (results === null) return null;
  const valleyPoints = choice.hasValley ? await measureValley(size, outside) : [];
  if (valleyPoints === null) return null;

  const found = arms.map(({ experiment, arm }, i) => ({
    experiment,
    arm,
    parameters: parameterCount(armConfig(arm, size)),
    rate: best[i]!,
    rates: rates[i]!,
    runs: results.slice(i * seeds, (i + 1) * seeds),
  }));
  const base = found[0]!;
  const others = found.slice(1);
  const compared = others.map(({ experiment, arm, runs }) => ({ experiment, arm: arm.name, runs }));
  return {
    choice,
    baseline: base,
    arms: others,
    comparisons: compareAll(base.runs, compared),
    valley: valleyPoints,
  };
}

function plan(purpose: PlannedRun['purpose'], arm: Arm, size: LabSize, choice: TrainingChoice): PlannedRun {
  return { purpose, arm: arm.name, choice, training: armTraining(arm, size, choice) };
}

/** Half, once and twice the derived rate for every arm, then on where the best lies at an edge. */
async function searchRates(
  arms: readonly { readonly arm: Arm }[],
  size: LabSize,
  outside: LabOutside,
): Promise<RatePoint[][] | null> {
  const found: RatePoint[][] = arms.map(() => []);
  let wanted = arms.map(() => FIRST_RATES);
  while (wanted.some((rates) => rates.length > 0)) {
    const places = wanted.flatMap((rates, i) => rates.map((rate) => ({ i, rate })));
    const runs = places.map(({ i, rate }) =>
      plan('rate', arms[i]!.arm, size, { seed: RATE_SEED, rate, share: RATE_SHARE }),
    );
    const results = await outside.run(runs);
    if (results === null) return null;
    for (const [k, { i, rate }] of places.entries()) found[i]!.push({ rate, bitsPerByte: results[k]!.bitsPerByte });
    for (const points of found) points.sort((a, b) => a.rate - b.rate);
    wanted = found.map(nextRates);
  }
  return found;
}

function nextRates(points: readonly RatePoint[]): number[] {
  const best = bestRate(points);
  const next = best === points[0]!.rate ? best / 2 : best === points.at(-1)!.rate ? best * 2 : null;
  return next !== null && next >= EXTREME_RATES[0]! && next <= EXTREME_RATES[1]! ? [next] : [];
}

/** 1 where nothing was searched. */
export function bestRate(points: readonly RatePoint[]): number {
  const ended = points.filter(({ bitsPerByte }) => bitsPerByte !== null);
  if (ended.length === 0) return points.length === 0 ? 1 : Math.min(...points.map(({ rate }) => rate));
  return ended.reduce((best, point) => (point.bitsPerByte! < best.bitsPerByte! ? point : best)).rate;
}

/**
 * The baseline's rate, unless the arm's own best is better by more than the search can be wrong: an arm that is trained at another rate
 * by chance would be judged by its rate.
 */
export function chosenRate(points: readonly RatePoint[], usual: number): number {
  const own = bestRate(points);
  const at = (rate: number) => points.find((point) => point.rate === rate)?.bitsPerByte ?? null;
  const [ownBits, usualBits] = [at(own), at(usual)];
  return ownBits !== null && usualBits !== null && usualBits <= ownBits * (1 + RATE_NOISE) ? usual : own;
}

async function measureValley(size: LabSize, outside: LabOutside): Promise<ValleyPoint[] | null> {
  const points = valley.batches.flatMap((batch) => valley.rates.map((rate) => ({ rate, batch })));
  const runs = points.map((point) =>
    plan('valley', baseline, size, { seed: RATE_SEED, share: VALLEY_SHARE, ...point }),
  );
  const results = await outside.run(runs);
  return results && points.map((point, i) => ({ ...point, bitsPerByte: results[i]!.bitsPerByte }));
}
