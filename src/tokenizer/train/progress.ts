export interface TrainProgress {
  readonly stage: 'reading' | 'merging';
  readonly done: number;
  /** Merges wanted; null while reading, as a stream does not say its length. */
  readonly total: number | null;
}
