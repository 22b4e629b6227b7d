import { CriaError } from '../base/errors.ts';

export interface GuardOptions {
  /** What to do about a spike or a number that is none: end the run, or leave the step out. */
  readonly onAnomaly: 'stop' | 'skip';
  /** Standard deviations above the mean of the last steps from which a loss or a gradient norm is a spike; null: never. */
  readonly spikeDeviations: number | null;
}

export const defaultGuard: GuardOptions = { onAnomaly: 'stop', spikeDeviations: null };

/** Training has come to numbers that it should not go on from. */
export class AnomalyError extends CriaError {}

const WINDOW = 128;

/**
 * Watches the loss and the gradient norm: a value is a spike when it lies `spikeDeviations` standard deviations above the mean of
 * the last WINDOW accepted steps. Falls are no spikes. Not judged before the window is full.
 * Source   the z-score guard of karpathy/llm.c.
 */
export class Guard {
  private readonly options: GuardOptions;
  private readonly windows = { loss: [] as number[], 'gradient norm': [] as number[] };

  constructor(options: GuardOptions) {
    this.options = options;
  }

  /** null: go on. Else what is wrong, in words. `nameBad` finds the tensor to blame for a norm that is no number. */
  judge(loss: number, gradientNorm: number, nameBad: () => string | null): string | null {
    if (!Number.isFinite(loss) || !Number.isFinite(gradientNorm)) {
      const name = nameBad();
      return `loss ${loss}, gradient norm ${gradientNorm}${name ? `; the first gradient that is no number is that of ${name}` : ''}`;
    }
    const problem = this.spike('loss', loss) ?? this.spike('gradient norm', gradientNorm);
    if (problem) return problem;
    this.remember('loss', loss);
    this.remember('gradient norm', gradientNorm);
    return null;
  }

  /** The windows, for checkpoints. */
  save(): { loss: number[]; norm: number[] } {
    return { loss: [...this.windows.loss], norm: [...this.windows['gradient norm']] };
  }

  restore({ loss, norm }: { readonly loss: readonly number[]; readonly norm: readonly number[] }): void {
    this.windows.loss = [...loss];
    this.windows['gradient norm'] = [...norm];
  }

  private spike(what: keyof Guard['windows'], value: number): string | null {
    const { spikeDeviations } = this.options;
    const window = this.windows[what];
    if (spikeDeviations === null || window.length < WINDOW) return null;
    const mean = window.reduce((a, b) => a + b, 0) / WINDOW;
    const deviation = Math.sqrt(window.reduce((sum, x) => sum + (x - mean) ** 2, 0) / WINDOW);
    const z = (value - mean) / Math.max(deviation, 1e-12);
    if (!(z > spikeDeviations)) return null;
    return `${what} ${value.toPrecision(5)} is ${z.toFixed(1)} standard deviations above the ${mean.toPrecision(5)} of the last ${WINDOW} steps`;
  }

  private remember(what: keyof Guard['windows'], value: number): void {
    const window = this.windows[what];
    window.push(value);
    if (window.length > WINDOW) window.shift();
  }
}
