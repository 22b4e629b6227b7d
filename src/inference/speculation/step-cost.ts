/**
 * What a step costs, by its rows, as measured: the rows of guesses are worth their time or they are not, which differs by model,
 * machine, threads and depth. Only the speed depends on it, never a text.
 *
 * What was not measured for a while becomes cheaper in the estimate, so that a row count that had bad luck is tried again; and a
 * larger batch bounds what a smaller one costs.
 */

/** Of a new measurement. */
const WEIGHT = 0.25;
/** A measurement beyond this many times the estimate is the machine's business elsewhere. */
const MOST = 2;
/** A step. */
const OPTIMISM = 0.998;
/** A further row beyond all that was measured, as a share of one row's cost. */
const UNKNOWN_ROW = 0.04;

export class StepCost {
  /** By rows; 0: not measured. */
  private readonly ms: Float64Array;

  constructor(mostRows: number) {
    this.ms = new Float64Array(mostRows + 1);
  }

  get isKnown(): boolean {
    return this.ms.some((ms) => ms > 0);
  }

  note(rows: number, ms: number): void {
    if (rows >= this.ms.length) return;
    const before = this.ms[rows]!;
    for (let r = 0; r < this.ms.length; r++) this.ms[r]! *= OPTIMISM;
    this.ms[rows] = before === 0 ? ms : before + WEIGHT * (Math.min(ms, MOST * before) - before);
  }

  /** Milliseconds, or of no unit as long as nothing was measured. */
  of(rows: number): number {
    let [below, above] = [0, 0];
    let least = Number.POSITIVE_INFINITY;
    for (let r = this.ms.length - 1; r >= 1; r--) {
      if (this.ms[r] === 0) continue;
      if (r >= rows) {
        least = Math.min(least, this.ms[r]!);
        above = r;
      } else {
        below = r;
        break;
      }
    }
    if (above === rows) return least;
    if (below === 0) return above === 0 ? 1 + UNKNOWN_ROW * (rows - 1) : least * (1 - UNKNOWN_ROW) ** (above - rows);
    const from = Math.min(this.ms[below]!, least);
    if (above === 0) return from * (1 + (UNKNOWN_ROW * (rows - below)) / (1 + UNKNOWN_ROW * (below - 1)));
    return from + ((least - from) * (rows - below)) / (above - below);
  }
}
