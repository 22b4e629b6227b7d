import { CriaError } from '../../base/errors.ts';
import { logSumExp, softmax } from '../../kernels/softmax/reference.ts';
import type { Floats } from '../../tensor/tensor.ts';

/** sortShare's histogram: sixteenths of a nat below the best, and a last bucket for all the rest. */
const BUCKETS_PER_NAT = 16;
const BUCKETS = 1024;
const SORTED_OUTRIGHT = 256;

/**
 * The tokens still in the running for one pick, with their logits. Samplers change logits and shorten the list; nothing is
 * allocated after the constructor, so one instance serves every sequence of an engine in turn.
 *
 * Invariants  the first `sortedCount` candidates are the best of all, best first; equal logits rank by id, so that the order,
 *             and with it a seeded pick, does not depend on how it was reached.
 */
export class Candidates {
  readonly ids: Uint32Array;
  readonly logits: Float64Array;
  /** Filled by softmax(). */
  readonly probabilities: Float64Array;
  /** Zero between calls: a place to count tokens in. */
  readonly counts_V: Uint32Array;
  /** Room for a sampler's own sort keys. */
  readonly keys: Float64Array;
  count = 0;
  sortedCount = 0;
  /** Candidate i is token i: nothing was moved or dropped yet. */
  complete = false;
  private readonly identity_V: Uint32Array;
  private readonly masses = new Float64Array(BUCKETS);
  private readonly tallies = new Uint32Array(BUCKETS);

  constructor(vocabSize: number) {
    this.ids = new Uint32Array(vocabSize);
    this.logits = new Float64Array(vocabSize);
    this.probabilities = new Float64Array(vocabSize);
    this.counts_V = new Uint32Array(vocabSize);
    this.keys = new Float64Array(vocabSize);
    this.identity_V = Uint32Array.from({ length: vocabSize }, (_, id) => id);
  }

  get vocabSize(): number {
    return this.ids.length;
  }

  /** All tokens, with row `row` of logits_RV. Throws CriaError `sampling.nan`. */
  load(logits_RV: Floats, row = 0): void {
    const V = this.vocabSize;
    for (let id = 0, from = row * V; id < V; id++) {
      const logit = logits_RV[from + id]!;
      if (Number.isNaN(logit)) throw nanError(id);
      this.logits[id] = logit;
    }
    if (!this.complete) this.ids.set(this.identity_V);
    this.count = V;
    this.sortedCount = 0;
    this.complete = true;
  }

  /** One token is left, without a look at the others. */
  only(id: number): void {
    this.ids[0] = id;
    this.logits[0] = 0;
    this.count = 1;
    this.sortedCount = 1;
    this.complete = false;
  }

  /** Makes the first n candidates the n best by `keys` (their logits, unless a sampler has keys of its own), best first. */
  sortBest(n: number, keys: Float64Array = this.logits): void {
    n = Math.min(n, this.count);
    if (keys === this.logits && n <= this.sortedCount) return;
    this.complete = false;
    // A heap of the n best with the worst on top, then taken apart from the worst up.
    for (let i = (n >>> 1) - 1; i >= 0; i--) this.siftDown(keys, i, n);
    for (let i = n; i < this.count && n > 0; i++) {
      if (keys[i]! < keys[0]! || !this.better(keys, i, 0)) continue;
      this.swap(keys, i, 0);
      this.siftDown(keys, 0, n);
    }
    for (let end = n - 1; end > 0; end--) {
      this.swap(keys, 0, end);
      this.siftDown(keys, 0, end);
    }
    this.sortedCount = keys === this.logits ? n : 0;
  }

  /** Drops all but the first n. */
  keepFirst(n: number): void {
    if (n >= this.count) return;
    this.count = n;
    this.sortedCount = Math.min(this.sortedCount, n);
    this.complete = false;
  }

  /** Drops the first n. */
  dropFirst(n: number): void {
    this.ids.copyWithin(0, n, this.count);
    this.logits.copyWithin(0, n, this.count);
    this.sortedCount = Math.max(0, this.sortedCount - n);
    this.count -= n;
    this.complete = false;
  }

  /** Drops every candidate whose key (its logit, unless a sampler has keys of its own) is below `limit`; the order stays. */
  keepFrom(limit: number, keys: Float64Array = this.logits): void {
    let kept = 0;
    for (let i = 0; i < this.count; i++) {
      if (!(keys[i]! >= limit)) continue;
      keys[kept] = keys[i]!;
      this.ids[kept] = this.ids[i]!;
      this.logits[kept++] = this.logits[i]!;
    }
    if (kept === this.count) return;
    this.count = kept;
    this.sortedCount = Math.min(this.sortedCount, kept);
    this.complete = false;
  }

  /**
   * Sorts the candidates by `keys`, having dropped a tail that is beyond the best that together hold the share p of all
   * probability and are at least `least`. A histogram of the keys finds the tail, so that little more is sorted than is needed.
   */
  sortShare(p: number, least: number, keys: Float64Array = this.logits): void {
    if (this.count > SORTED_OUTRIGHT && this.sortedCount < this.count) {
      this.masses.fill(0);
      this.tallies.fill(0);
      let best = Number.NEGATIVE_INFINITY;
      for (let i = 0; i < this.count; i++) if (keys[i]! > best) best = keys[i]!;
      const largest = this.largestLogit();
      let total = 0;
      for (let i = 0; i < this.count; i++) {
        const bucket = Math.min(BUCKETS - 1, Math.floor((best - keys[i]!) * BUCKETS_PER_NAT));
        const weight = this.weight(i, largest);
        this.masses[bucket]! += weight;
        this.tallies[bucket]!++;
        total += weight;
      }
      let mass = 0;
      let tally = 0;
      let bucket = 0;
      while (bucket < BUCKETS - 2 && (mass < (p + 1e-9) * total || tally < least)) {
        mass += this.masses[bucket]!;
        tally += this.tallies[bucket++]!;
      }
      // One bucket more, against rounding at the border.
      if (bucket < BUCKETS - 2) this.keepFrom(best - (bucket + 1) / BUCKETS_PER_NAT, keys);
    }
    this.sortBest(this.count, keys);
  }

  /** How many candidates have a logit of at least `limit`. */
  countFrom(limit: number): number {
    let count = 0;
    for (let i = 0; i < this.count; i++) if (this.logits[i]! >= limit) count++;
    return count;
  }

  largestLogit(): number {
    if (this.sortedCount > 0) return this.logits[0]!;
    let largest = Number.NEGATIVE_INFINITY;
    for (let i = 0; i < this.count; i++) if (this.logits[i]! > largest) largest = this.logits[i]!;
    return largest;
  }

  /** Σ exp(logit − largest), over the candidates. */
  expSum(largest: number): number {
    let sum = 0;
    for (let i = 0; i < this.count; i++) sum += this.weight(i, largest);
    return sum;
  }

  /** exp(logit − largest) of candidate i; an infinite bias makes its tokens share everything. */
  weight(i: number, largest: number): number {
    return this.logits[i] === largest ? 1 : Math.exp(this.logits[i]! - largest);
  }

  /** Fills `probabilities`. */
  softmax(): void {
    if (this.largestLogit() === Number.NEGATIVE_INFINITY) throw noneLeft();
    softmax(this.probabilities, this.logits, this.count);
  }

  /** log Σ exp(logit), over the candidates. */
  logSumExp(): number {
    return logSumExp(this.logits, this.count);
  }

  /** −Σ p·ln p of the probabilities that softmax() left. */
  entropy(): number {
    let entropy = 0;
    for (let i = 0; i < this.count; i++) {
      const p = this.probabilities[i]!;
      if (p > 0) entropy -= p * Math.log(p);
    }
    return entropy;
  }

  private better(keys: Float64Array, i: number, j: number): boolean {
    return keys[i]! > keys[j]! || (keys[i]! === keys[j]! && this.ids[i]! < this.ids[j]!);
  }

  private swap(keys: Float64Array, i: number, j: number): void {
    const { ids, logits } = this;
    const id = ids[i]!;
    const logit = logits[i]!;
    ids[i] = ids[j]!;
    ids[j] = id;
    logits[i] = logits[j]!;
    logits[j] = logit;
    if (keys === logits) return;
    const key = keys[i]!;
    keys[i] = keys[j]!;
    keys[j] = key;
  }

  private siftDown(keys: Float64Array, i: number, n: number): void {
    for (;;) {
      let worst = i;
      for (let child = 2 * i + 1; child <= 2 * i + 2 && child < n; child++)
        if (this.better(keys, worst, child)) worst = child;
      if (worst === i) return;
      this.swap(keys, i, worst);
      i = worst;
    }
  }
}

/** The likeliest token, the smallest id among equals. Throws CriaError `sampling.nan`. */
export function argmax(logits: Floats, from: number, count: number): number {
  let best = 0;
  for (let id = 0; id < count; id++) {
    const logit = logits[from + id]!;
    if (Number.isNaN(logit)) throw nanError(id);
    if (logit > logits[from + best]!) best = id;
  }
  return best;
}

function nanError(id: number): CriaError {
  return new CriaError(
    'sampling.nan',
    `sampling: the logit of token ${id} is NaN, expected a number. The weights hold NaN or overflow; check the model file with "cria inspect".`,
  );
}

export function noneLeft(): CriaError {
  return new CriaError(
    'sampling.none-left',
    'sampling: every token is forbidden, expected at least one that may be chosen. Relax the logit bias or noRepeatNgram.',
  );
}
