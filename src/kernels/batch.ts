/**
 * The flattened batch: the new tokens of all sequences in one row of N. Prefill, decode, continuous batching, packed training
 * documents and scoring many answers are the same call.
 */
export interface Batch {
  readonly ids: Uint32Array;
  /** Position of each token in its own sequence. */
  readonly positions: Uint32Array;
  /** The sequences, in row order; together they cover all rows. */
  readonly spans: readonly Span[];
}

/** The rows of one sequence: neighbours, with positions that ascend by one. Attention never leaves a span's sequence. */
export interface Span {
  readonly firstRow: number;
  readonly rowCount: number;
  /** Position of the first row = tokens of this sequence that the cache already holds; 0 without a cache. */
  readonly firstPosition: number;
  /**
   * The sequence's block table: physical block of positions b·blockTokens … (b+1)·blockTokens − 1 for b = 0, 1, ….
   * Covers firstPosition + rowCount positions. Empty without a cache.
   */
  readonly blocks: Uint32Array;
}

/** Whole sequences without a cache: training, scoring, tracing. */
export function batchOfSequences(sequences: readonly ArrayLike<number>[]): Batch {
  const count = sequences.reduce((sum, sequence) => sum + sequence.length, 0);
  const ids = new Uint32Array(count);
  const positions = new Uint32Array(count);
  const spans: Span[] = [];
  let row = 0;
  for (const sequence of sequences) {
    ids.set(sequence, row);
    for (let i = 0; i < sequence.length; i++) positions[row + i] = i;
    spans.push({ firstRow: row, rowCount: sequence.length, firstPosition: 0, blocks: new Uint32Array(0) });
    row += sequence.length;
  }
  return { ids, positions, spans };
}
