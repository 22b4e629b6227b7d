/** What the loop of a fine-tuning run knows of a method. */
import type { StepResult } from '../../training/trainer.ts';

export interface MethodStep extends Pick<StepResult, 'loss' | 'gradientNorm' | 'learningRate' | 'skipped'> {
  /** Tokens that went through the model. */
  readonly tokens: number;
  /** Further numbers of the method, by name, for metrics and charts. */
  readonly numbers: Readonly<Record<string, number>>;
  /** What looks wrong, in words. */
  readonly alarms: readonly string[];
  /** An answer to look at. */
  readonly sample?: string;
  /** Why the run should end here. */
  readonly end?: string;
}

export interface TuningMethod {
  readonly totalSteps: number;
  /**
   * Step number `step`, from 0. What it does follows from the weights, the optimizer's state, the seed and `step` alone, so that a
   * resumed run goes on to the same bits.
   */
  step(step: number): Promise<MethodStep>;
  /** The loss and whatever else is measured on held-back samples; null: none are. */
  validate(): Promise<Readonly<Record<string, number>> | null>;
}
