import { dropoutKey } from '../../kernels/dropout/reference.ts';
import type { Dropping } from '../../model/choices/dropout.ts';

export interface DropoutOptions {
  readonly rates: Dropping['rates'];
  readonly seed: number;
}

/**
 * What is dropped follows from seed, step, site and the token's place in the step alone: accumulation, ranks, recomputing and resuming
 * change nothing.
 */
export class StepDropping implements Dropping {
  readonly rates: Dropping['rates'];
  private readonly seed: number;
  private step = 0;
  private firstToken = 0;

  constructor({ rates, seed }: DropoutOptions) {
    this.rates = rates;
    this.seed = seed;
  }

  /** A pass begins, over the tokens of a step from `firstToken` on. */
  begin(step: number, firstToken: number): void {
    this.step = step;
    this.firstToken = firstToken;
  }

  place(site: number): { readonly key: number; readonly firstToken: number } {
    return { key: dropoutKey(this.seed, this.step, site), firstToken: this.firstToken };
  }
}
