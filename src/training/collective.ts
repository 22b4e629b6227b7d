/**
 * What data-parallel training needs of the other ranks. `solo` is the only rank; MPI's is in platform/node.
 * Every rank makes the same calls in the same order.
 */
export interface Collective {
  readonly rank: number;
  readonly size: number;
  /** Whether all ranks are processes of one machine, where what travels is copied by the cores that compute. */
  readonly isOneMachine: boolean;
  /** values ← Σ over ranks, on every rank. */
  sum(values: Float32Array | Float64Array): void;
  /** values ← those of rank `from`, on every rank. */
  broadcast(values: Float32Array, from: number): void;
  /**
   * sums ← Σ over ranks of their numbers for this rank. `values` has those for rank 0, then those for rank 1, …: `counts` says how many
   * each. A sum is made in the order of the ranks, in f64, and rounded once. Until the promise is kept the numbers stay where they are,
   * and no other sum of parts is asked for.
   *
   * 'beside': the call returns at once, and the numbers travel while the caller computes, or makes other calls.
   */
  sumParts(sums: Float32Array, values: Float32Array, counts: readonly number[], when: 'now' | 'beside'): Promise<void>;
  /** whole ← every rank's own numbers, in the order of the ranks; `counts` says how many each has. */
  gather(whole: Float32Array, own: Float32Array, counts: readonly number[]): void;
  barrier(): void;
}

export const solo: Collective = {
  rank: 0,
  size: 1,
  isOneMachine: true,
  sum: () => {},
  broadcast: () => {},
  sumParts: async (sums, values) => sums.set(values),
  gather: (whole, own) => whole.set(own),
  barrier: () => {},
};

/** So many sums are made at a time: they stay near the processor. */
const SUM_BLOCK = 2048;

/** For collectives: sums ← the sum over ranks of `received`, which has as many numbers from each, one rank's after the other's. */
export function sumInOrder(sums: Float32Array, received: Float32Array, size: number): void {
  const each = sums.length;
  const of = (rank: number, from: number, count: number) =>
    received.subarray(rank * each + from, rank * each + from + count);
  if (size <= 2) {
    if (size === 1) sums.set(received);
    else addTwo(sums, of(0, 0, each), of(1, 0, each));
    return;
  }
  const block = new Float64Array(Math.min(SUM_BLOCK, each));
  for (let from = 0; from < each; from += block.length) {
    const count = Math.min(block.length, each - from);
    beginSums(block, of(0, from, count), of(1, from, count), of(2, from, count));
    let rank = 3;
    for (; rank + 1 < size; rank += 2) addBoth(block, of(rank, from, count), of(rank + 1, from, count));
    if (rank < size) addOne(block, of(rank, from, count));
    sums.set(count === block.length ? block : block.subarray(0, count), from);
  }
}

// One loop each, over as many numbers as the first rank's: several ranks at a time read and write a sum once.

function addTwo(sums: Float32Array, a: Float32Array, b: Float32Array): void {
  for (let i = 0; i < a.length; i++) sums[i] = a[i]! + b[i]!;
}

function beginSums(sums: Float64Array, a: Float32Array, b: Float32Array, c: Float32Array): void {
  for (let i = 0; i < a.length; i++) sums[i] = a[i]! + b[i]! + c[i]!;
}

function addBoth(sums: Float64Array, a: Float32Array, b: Float32Array): void {
  for (let i = 0; i < a.length; i++) sums[i] = sums[i]! + a[i]! + b[i]!;
}

function addOne(sums: Float64Array, a: Float32Array): void {
  for (let i = 0; i < a.length; i++) sums[i]! += a[i]!;
}

/** Memory that is used again for what is on its way: it grows to the most that was asked for. */
export class TravelSpace {
  private numbers = new Float32Array();

  /** What was here before is void. */
  take(count: number): Float32Array {
    if (this.numbers.length < count) this.numbers = new Float32Array(count);
    return this.numbers.subarray(0, count);
  }
}
