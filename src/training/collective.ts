/**
 * What data-parallel training needs of the other ranks. `solo` is the only rank; MPI's is in platform/node.
 * Every rank makes the same calls in the same order.
 */
export interface Collective {
  readonly rank: number;
  readonly size: number;
  /** values ← Σ over ranks, on every rank. */
  sum(values: Float32Array | Float64Array): void;
  /** values ← those of rank `from`, on every rank. */
  broadcast(values: Float32Array, from: number): void;
  /**
   * Σ over ranks of their numbers for this rank. `values` has those for rank 0, then those for rank 1, …: `counts` says how many each;
   * they may be written again when the promise is kept. A sum is made in the order of the ranks, in f64, and rounded once.
   *
   * 'beside': the call returns at once, and the numbers travel while the caller computes, or makes other calls. Several travel in the
   * order of their calls.
   */
  sumParts(values: Float32Array, counts: readonly number[], when: 'now' | 'beside'): Promise<Float32Array>;
  /** whole ← every rank's own numbers, in the order of the ranks; `counts` says how many each has. */
  gather(whole: Float32Array, own: Float32Array, counts: readonly number[]): void;
  barrier(): void;
}

export const solo: Collective = {
  rank: 0,
  size: 1,
  sum: () => {},
  broadcast: () => {},
  sumParts: async (values) => values.slice(),
  gather: (whole, own) => whole.set(own),
  barrier: () => {},
};

/** For collectives: the sum over ranks of `received`, which has as many numbers from each, one rank's after the other's. */
export function sumInOrder(received: Float32Array, size: number): Float32Array {
  const count = received.length / size;
  const sums = new Float32Array(count);
  for (let i = 0; i < count; i++) {
    let sum = 0;
    for (let at = i; at < received.length; at += count) sum += received[at]!;
    sums[i] = sum;
  }
  return sums;
}
