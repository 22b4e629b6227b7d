/**
 * How often guesses of a kind were right: counts that fade, so that a text may change its ways. Where little is known, `prior` is
 * believed: a request begins with what the engine has seen of others.
 */

/** Weight of what was seen before, at every new trial: about the last 30 count. */
const FADING = 0.97;
/** Trials that the prior is worth. */
const PRIOR_TRIALS = 2;
/** Without a prior. */
const UNKNOWN = 0.5;

export class Agreement {
  private readonly right: Float64Array;
  private readonly trials: Float64Array;
  private readonly prior: Agreement | null;

  constructor(kinds: number, prior: Agreement | null = null) {
    this.right = new Float64Array(kinds);
    this.trials = new Float64Array(kinds);
    this.prior = prior;
  }

  /** The probability that a guess of this kind agrees with what is picked, if all before it did. */
  of(kind: number): number {
    const expected = this.prior?.of(kind) ?? UNKNOWN;
    return (this.right[kind]! + PRIOR_TRIALS * expected) / (this.trials[kind]! + PRIOR_TRIALS);
  }

  /** The same of any kind, as often as they came. */
  mean(): number {
    const expected = this.prior?.mean() ?? UNKNOWN;
    const sum = (counts: Float64Array) => counts.reduce((total, count) => total + count, 0);
    return (sum(this.right) + PRIOR_TRIALS * expected) / (sum(this.trials) + PRIOR_TRIALS);
  }

  note(kind: number, agreed: boolean): void {
    this.right[kind] = FADING * this.right[kind]! + (agreed ? 1 : 0);
    this.trials[kind] = FADING * this.trials[kind]! + 1;
    this.prior?.note(kind, agreed);
  }
}
