/** What may be said of an arm beside the baseline, from runs that share seeds: data order and initial weights. */
import { bootstrapMean, holm, type Interval, mean, slope, type TTest, tTest } from '../base/statistics.ts';
import type { RunResult } from './train-once.ts';

export type Verdict =
  /** Off zero, with all comparisons of the table counted. */
  | 'better'
  | 'worse'
  /** The interval lies within ± the margin. */
  | 'equal'
  | 'no difference seen'
  /** There is a difference that the last third of the run was still closing. */
  | 'still closing'
  | 'diverged'
  /** One pair of runs, or none. */
  | 'too few seeds';

export interface Comparison {
  readonly experiment: string;
  readonly arm: string;
  /** Arm − baseline in validation bits per byte, for every seed that both came to the end of. */
  readonly differences: readonly number[];
  readonly test: TTest;
  /** Of the mean by resampling; null below six seeds, which it says little of. */
  readonly bootstrap: Interval | null;
  /** Holm's, over the whole table. */
  readonly p: number;
  /** How far the mean difference moved in the last third of the run, by lines through it. */
  readonly moved: TTest | null;
  /** The smallest difference that these runs would have shown: half of the interval. */
  readonly detectable: number;
  readonly diverged: number;
  readonly verdict: Verdict;
}

export interface Compared {
  readonly experiment: string;
  readonly arm: string;
  /** By seed, in the baseline's order. */
  readonly runs: readonly RunResult[];
}

/** Below it, the bootstrap's interval is mostly the numbers themselves. */
const BOOTSTRAP_SEEDS = 6;
const SIGNIFICANT = 0.05;
/** Of the difference: closing by less than this in a third of the run is no reason to hold a verdict back. */
const CLOSING = 0.25;

/** A part of the baseline's loss: arms that surely lie within it count as equal. */
export const EQUAL_MARGIN = 0.005;

export function compareAll(
  baseline: readonly RunResult[],
  arms: readonly Compared[],
  margin = EQUAL_MARGIN,
): readonly Comparison[] {
  const finished = baseline.flatMap(({ bitsPerByte }) => (bitsPerByte === null ? [] : [bitsPerByte]));
  const delta = margin * mean(finished);
  const measured = arms.map((arm) => measure(baseline, arm));
  const adjusted = holm(measured.map(({ test }) => test.p));
  return measured.map((one, i) => {
    const p = adjusted[i]!;
    return { ...one, p, verdict: verdictOf({ ...one, p }, delta) };
  });
}

function measure(baseline: readonly RunResult[], { experiment, arm, runs }: Compared) {
  const pairs = runs.flatMap((run, i) => {
    const other = baseline[i];
    return other && run.bitsPerByte !== null && other.bitsPerByte !== null ? [[run, other] as const] : [];
  });
  const differences = pairs.map(([run, other]) => run.bitsPerByte! - other.bitsPerByte!);
  const test = tTest(differences);
  const moves = pairs.map(([run, other]) => movedInLastThird(run, other));
  return {
    experiment,
    arm,
    differences,
    test,
    bootstrap: differences.length < BOOTSTRAP_SEEDS ? null : bootstrapMean(differences),
    moved: moves.some(Number.isNaN) || moves.length === 0 ? null : tTest(moves),
    detectable: (test.interval.high - test.interval.low) / 2,
    diverged: runs.filter(({ diverged }) => diverged !== null).length,
  };
}

/** The difference's change over the last third of the evaluations, by the line through it; NaN where there are fewer than three. */
function movedInLastThird(run: RunResult, other: RunResult): number {
  const count = Math.min(run.curve.length, other.curve.length);
  const from = count - Math.ceil(count / 3);
  const points = Array.from({ length: count - from }, (_, i) => {
    const at = from + i;
    return [i, run.curve[at]!.bitsPerByte - other.curve[at]!.bitsPerByte] as const;
  });
  return points.length < 3 ? Number.NaN : slope(points) * (points.length - 1);
}

function verdictOf({ differences, test, p, moved, diverged }: Omit<Comparison, 'verdict'>, delta: number): Verdict {
  if (diverged > 0) return 'diverged';
  if (differences.length < 2) return 'too few seeds';
  const { low, high } = test.interval;
  if (p < SIGNIFICANT) {
    const isClosing =
      moved !== null &&
      moved.mean * test.mean < 0 &&
      moved.interval.low * moved.interval.high > 0 &&
      Math.abs(moved.mean) > CLOSING * Math.abs(test.mean);
    if (isClosing) return 'still closing';
    return test.mean > 0 ? 'worse' : 'better';
  }
  return -delta < low && high < delta ? 'equal' : 'no difference seen';
}
