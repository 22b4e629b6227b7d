import { CriaError } from '../base/errors.ts';

export interface GuardOptions {
  /** What to do about a spike or a number that is none: end the run, leave the step out, or end so that the run goes back by itself. */
  readonly onAnomaly: 'stop' | 'skip' | 'return';
  /** Standard deviations above the mean of the last steps from which a loss or a gradient norm is a spike; null: never. */
  readonly spikeDeviations: number | null;
  /** ln V where the loss is −log p of a token: what guessing costs. A run that falls back to it is ended. null: another kind of loss. */
  readonly guessing: number | null;
}

export const defaultGuard: GuardOptions = { onAnomaly: 'stop', spikeDeviations: null, guessing: null };

/** Training has come to numbers that it should not go on from. */
export class AnomalyError extends CriaError {
  /** Whether the weights themselves are spoilt, and with them perhaps the last checkpoints. */
  readonly isDestroyed: boolean;

  constructor(message: string, isDestroyed: boolean) {
    super('training.anomaly', message);
    this.isDestroyed = isDestroyed;
  }
}

/** What a guard has seen, for checkpoints. What is optional an earlier version did not keep. */
export interface GuardState {
  readonly loss: readonly number[];
  readonly norm: readonly number[];
  readonly skipped?: number;
  readonly dead?: number;
  readonly leastMedian?: number | null;
}

/** 'leave out': the step is to be skipped. 'end': nothing good can come any more. */
export interface Verdict {
  readonly kind: 'leave out' | 'end';
  readonly isDestroyed: boolean;
  readonly words: string;
}

const WINDOW = 128;
/** Of the last steps, whose median may not rise. */
const MEDIAN_WINDOW = 64;
/** Steps left out in a row that end a run. */
const MOST_SKIPPED = 10;
/** Steps in a row without a gradient that end a run, and the norm that counts as none. */
const MOST_DEAD = 5;
const NO_GRADIENT = 1e-6;
/** A loss this part of what guessing costs has learned next to nothing. */
const LIKE_GUESSING = 0.9;
/** A rise of the median by this part of what guessing costs destroys what was learned. */
const MOST_RISE = 0.15;
/** Before the window is full, deviations of this part of the mean are expected, as if seen in so many steps. */
const EXPECTED_DEVIATION = { loss: 0.1, 'gradient norm': 0.5 } as const;
const EXPECTED_STEPS = 8;

/**
 * Watches the loss and the gradient norm. A value is a spike when it lies `spikeDeviations` standard deviations above the mean of the
 * last WINDOW accepted steps; falls are no spikes. While there are fewer steps, the deviation is drawn to a part of the mean, a
 * tenth for losses and a half for norms, which vary more in the first steps:
 *
 *   σ² = (Σ (x − mean)² + 8 · (part · mean)²) / (n + 8)
 *
 * A run ends where too many steps in a row are left out, where the gradients are gone and the loss is that of guessing, and where the
 * median of the losses rises far above the least that it has been.
 * Source   the z-score guard of karpathy/llm.c; the rest is ours.
 */
export class Guard {
  private readonly options: GuardOptions;
  private readonly windows = { loss: [] as number[], 'gradient norm': [] as number[] };
  private skipped = 0;
  private dead = 0;
  private leastMedian: number | null = null;

  constructor(options: GuardOptions) {
    this.options = options;
  }

  /** null: go on. `nameBad` finds the tensor to blame for a norm that is no number. */
  judge(loss: number, gradientNorm: number, nameBad: () => string | null): Verdict | null {
    const problem = this.problemOf(loss, gradientNorm, nameBad);
    if (problem !== null) {
      this.skipped++;
      if (this.options.onAnomaly !== 'skip') return { kind: 'end', isDestroyed: false, words: problem };
      if (this.skipped < MOST_SKIPPED) return { kind: 'leave out', isDestroyed: false, words: problem };
      const words = `${MOST_SKIPPED} steps in a row had to be left out, the last because of ${problem}`;
      return { kind: 'end', isDestroyed: true, words };
    }
    this.skipped = 0;
    this.remember('loss', loss);
    this.remember('gradient norm', gradientNorm);
    const words = this.collapse(loss, gradientNorm) ?? this.rise();
    return words === null ? null : { kind: 'end', isDestroyed: true, words };
  }

  save(): GuardState {
    return {
      loss: [...this.windows.loss],
      norm: [...this.windows['gradient norm']],
      skipped: this.skipped,
      dead: this.dead,
      leastMedian: this.leastMedian,
    };
  }

  restore({ loss, norm, skipped = 0, dead = 0, leastMedian = null }: GuardState): void {
    this.windows.loss = [...loss];
    this.windows['gradient norm'] = [...norm];
    this.skipped = skipped;
    this.dead = dead;
    this.leastMedian = leastMedian;
  }

  private problemOf(loss: number, gradientNorm: number, nameBad: () => string | null): string | null {
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      const name = nameBad();
      return `loss ${loss}, gradient norm ${gradientNorm}${name ? `; the first gradient that is no number is that of ${name}` : ''}`;
    }
    return this.spike('loss', loss) ?? this.spike('gradient norm', gradientNorm);
  }

  private spike(what: keyof Guard['windows'], value: number): string | null {
    const { spikeDeviations } = this.options;
    const window = this.windows[what];
    const count = window.length;
    if (spikeDeviations === null || count === 0) return null;
    const mean = window.reduce((a, b) => a + b, 0) / count;
    const squares = window.reduce((sum, x) => sum + (x - mean) ** 2, 0);
    const expected = count < WINDOW ? EXPECTED_STEPS : 0;
    const variance = (squares + expected * (EXPECTED_DEVIATION[what] * mean) ** 2) / (count + expected);
    const z = (value - mean) / Math.max(Math.sqrt(variance), 1e-12);
    if (!(z > spikeDeviations)) return null;
    return `${what} ${value.toPrecision(5)} is ${z.toFixed(1)} standard deviations above the ${mean.toPrecision(5)} of the last ${count} steps`;
  }

  private collapse(loss: number, gradientNorm: number): string | null {
    const { guessing } = this.options;
    const isDead = guessing !== null && gradientNorm < NO_GRADIENT && loss > LIKE_GUESSING * guessing;
    this.dead = isDead ? this.dead + 1 : 0;
    if (this.dead < MOST_DEAD) return null;
    return `loss ${loss.toPrecision(5)} is that of guessing (ln V = ${guessing!.toPrecision(5)}), and no gradient is left: the model is destroyed`;
  }

  private rise(): string | null {
    const { guessing } = this.options;
    if (guessing === null || this.windows.loss.length < MEDIAN_WINDOW) return null;
    const median = medianOf(this.windows.loss.slice(-MEDIAN_WINDOW));
    const least = (this.leastMedian = Math.min(this.leastMedian ?? median, median));
    if (median - least < MOST_RISE * guessing) return null;
    return `the median loss of the last ${MEDIAN_WINDOW} steps has risen from ${least.toPrecision(5)} to ${median.toPrecision(5)}`;
  }

  private remember(what: keyof Guard['windows'], value: number): void {
    const window = this.windows[what];
    window.push(value);
    if (window.length > WINDOW) window.shift();
  }
}

function medianOf(values: readonly number[]): number {
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

/** Whether a validated model is worse than guessing by far, or no model any more: such a one is never the best. */
export function isDestroyed(loss: number, vocabSize: number): boolean {
  return !(loss <= Math.log(vocabSize) + 1);
}
