/** Called now and then; what it returns is waited for, so that a caller can let signals in. */
export type OnTrainProgress = (progress: TrainProgress) => void | Promise<void>;

export interface TrainProgress {
  readonly stage: 'reading' | 'merging' | 'seeding' | 'pruning';
  readonly done: number;
  /** Merges wanted, or rounds; null while reading, as a stream does not say its length. */
  readonly total: number | null;
}
