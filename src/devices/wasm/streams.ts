/** Groups of panels that a matrix-vector product may read side by side: one after the other, or four in turns (machine code of x64: two, of AArch64 always one). */
const candidates = [4, 1] as const;

/** Smaller matrices may come from a cache, where it does not matter. */
const LEAST_BYTES = 2 ** 20;

/** Products that are not counted, as engines still compile then, and those that are, of each candidate. */
const WARM_UP = 8;
const SAMPLES = 32;

/**
 * How a matrix-vector product best reads its weights, learnt from the first large ones: some processors look ahead along one stream of
 * memory and are twice as fast when there is but one (Zen 5: 25 GB/s, 12 along eight), others read more when there are several (Ice Lake:
 * 14 GB/s along eight, 12 along four, 9.5 along one). The bits are the same.
 */
export class Streams {
  count: number = candidates[0];
  readonly #clock: (() => number) | null;
  readonly #costs = candidates.map((): number[] => []);
  #products = -WARM_UP;
  #started = 0;

  /** `clock`: milliseconds; without one there is nothing to learn. */
  constructor(clock: (() => number) | null) {
    this.#clock = clock;
  }

  /** To be called before a product that reads `bytes` of weights, and `end` after it: `count` may change in between two. */
  begin(bytes: number): void {
    if (this.#isLearning(bytes)) {
      this.count = candidates[this.#turn]!;
      this.#started = this.#clock!();
    }
  }

  end(bytes: number): void {
    if (!this.#isLearning(bytes)) return;
    if (this.#products >= 0) this.#costs[this.#turn]!.push((this.#clock!() - this.#started) / bytes);
    if (++this.#products === SAMPLES * candidates.length) this.#decide();
  }

  #isLearning(bytes: number): boolean {
    return this.#clock !== null && bytes >= LEAST_BYTES && this.#products < SAMPLES * candidates.length;
  }

  get #turn(): number {
    return Math.abs(this.#products) % candidates.length;
  }

  #decide(): void {
    const medians = this.#costs.map((costs) => costs.sort((a, b) => a - b)[costs.length >> 1]!);
    this.count = candidates[medians.indexOf(Math.min(...medians))]!;
  }
}
