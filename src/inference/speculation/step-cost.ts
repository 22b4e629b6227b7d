/**
 * What a step costs, by its rows, as measured: the rows of guesses are worth their time or they are not, which differs by model,
 * machine, threads and depth. Only the speed depends on it, never a text.
 *
 *   C(1) is a running mean        C(r) = a + b·r from two rows on, by least squares over what was measured, the newest counting most
 *
 * A line that begins near C(1), as single measurements tell of what else the machine did: they are few where guesses do not pay. Two points of little weight
 * stand for what is hoped (a row more costs little); the longer nothing is measured, the more they count, so that bad luck is forgotten.
 */

/** Of a new measurement of one row, in its mean. */
const WEIGHT = 0.1;
/** What older measurements of several rows weigh when there is a new one, and when there is a step of one row. */
const FADING = 0.95;
const IDLE_FADING = 0.995;
/** A measurement beyond this many times what was expected is the machine's business elsewhere. */
const MOST = 10;
/** The least that a further row costs, as a share of the first one. */
const LEAST_ROW = 0.04;
/** Where hope stands, and what each of its points weighs. */
const HOPED_ROWS = [2, 18] as const;
const HOPE = 0.01;
/** What the cost of one row weighs in the line. */
const ANCHOR = 0.25;

export class StepCost {
  /** Milliseconds of one row; 0: not measured. */
  private one = 0;
  // Σ weight, Σ weight·r, Σ weight·r², Σ weight·ms, Σ weight·r·ms
  private readonly sums = new Float64Array(5);
  private readonly mostRows: number;
  /** What one row is believed to cost, and the line for several. */
  private unit = 1;
  private intercept = 0;
  private slope = 0;

  constructor(mostRows: number) {
    this.mostRows = mostRows;
  }

  get isKnown(): boolean {
    return this.one > 0 || this.knowsSeveral;
  }

  /** More than one row was measured. */
  get knowsSeveral(): boolean {
    return this.sums[0]! > 0;
  }

  note(rows: number, ms: number): void {
    if (rows > this.mostRows || ms <= 0) return;
    const believed = this.isKnown ? Math.min(ms, MOST * this.of(rows)) : ms;
    const fading = rows === 1 ? IDLE_FADING : FADING;
    for (let i = 0; i < this.sums.length; i++) this.sums[i]! *= fading;
    if (rows === 1) this.one = this.one === 0 ? believed : this.one + WEIGHT * (believed - this.one);
    else add(this.sums, rows, believed, 1);
    this.fit();
  }

  /** Milliseconds, or of no unit as long as nothing was measured. */
  of(rows: number): number {
    const least = this.unit * hoped(rows);
    return rows === 1 || !this.knowsSeveral ? least : Math.max(least, this.intercept + this.slope * rows);
  }

  private fit(): void {
    const [weight, r] = this.sums as unknown as [number, number];
    // Where one row was never measured, what several cost bounds it.
    this.unit = this.one > 0 ? this.one : this.sums[3]! / weight / hoped(r / weight);
    const sums = this.sums.slice();
    add(sums, 1, this.unit, ANCHOR);
    for (const at of HOPED_ROWS) add(sums, at, this.unit * hoped(at), HOPE);
    const [w, wr, wrr, wm, wrm] = sums as unknown as [number, number, number, number, number];
    this.slope = (w * wrm - wr * wm) / (w * wrr - wr * wr);
    this.intercept = (wm - this.slope * wr) / w;
  }
}

/** In units of one row's cost. */
function hoped(rows: number): number {
  return 1 + LEAST_ROW * (rows - 1);
}

function add(sums: Float64Array, rows: number, ms: number, weight: number): void {
  sums[0]! += weight;
  sums[1]! += weight * rows;
  sums[2]! += weight * rows * rows;
  sums[3]! += weight * ms;
  sums[4]! += weight * rows * ms;
}
