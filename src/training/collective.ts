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
  barrier(): void;
}

export const solo: Collective = {
  rank: 0,
  size: 1,
  sum: () => {},
  broadcast: () => {},
  barrier: () => {},
};
