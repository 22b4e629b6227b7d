import { ArgumentError } from '../base/errors.ts';
import type { Batch, Span } from '../kernels/batch.ts';

/** Some rows of tokens that go through the model together. A step's gradient is summed over one or several of them. */
export interface MicroBatch {
  /** rows × length tokens. */
  readonly ids: ArrayLike<number>;
  /** What each token is as a target, predicted from the tokens before it; NO_LABEL: no loss. Absent: every token itself. */
  readonly labels?: ArrayLike<number>;
  readonly rows: number;
  readonly length: number;
  /**
   * Lengths of the sequences that the tokens hold, in order, where a row is not one sequence but several documents or parts of
   * them: attention and targets never cross from one to the next. Absent: each row is one sequence.
   */
  readonly documents?: readonly number[];
  /** Of each of the documents, the number of the source that it is from. */
  readonly sources?: readonly number[];
  /** The place of its first token among all of the step's, on whatever rank; absent: behind the micro-batches before it. Dropout follows from it. */
  readonly firstToken?: number;
}

/** The label of a token that is no target. */
export const NO_LABEL = -100;

/** Tokens that go through the model at once: enough to keep its matrix products large; more would only need more memory. */
export const PASS_TOKENS = 4096;

/** The micro-batches of a step, each with the place of its first token. */
export function placed(microBatches: readonly MicroBatch[]): MicroBatch[] {
  let next = 0;
  return microBatches.map((micro) => {
    const { firstToken = next } = micro;
    next = firstToken + micro.rows * micro.length;
    return { ...micro, firstToken };
  });
}

/** A micro-batch in parts of at most `limit` tokens, or of one sequence where that is longer. Their gradients add up to the whole's. */
export function splitMicroBatch(micro: MicroBatch, limit = PASS_TOKENS): MicroBatch[] {
  const { ids, labels, rows, length, firstToken = 0 } = micro;
  if (rows * length <= limit) return [micro];
  const parts: MicroBatch[] = [];
  let documents: number[] = [];
  let sources: number[] = [];
  let from = 0;
  let to = 0;
  const flush = () => {
    if (to === from) return;
    const slice = (values: ArrayLike<number>) => Array.prototype.slice.call(values, from, to) as number[];
    const texts = { documents, ...(micro.sources && { sources }), firstToken: firstToken + from };
    parts.push({ ids: slice(ids), ...(labels && { labels: slice(labels) }), rows: 1, length: to - from, ...texts });
    documents = [];
    sources = [];
    from = to;
  };
  for (const [i, count] of (micro.documents ?? new Array<number>(rows).fill(length)).entries()) {
    if (to - from + count > limit) flush();
    documents.push(count);
    if (micro.sources) sources.push(micro.sources[i]!);
    to += count;
  }
  flush();
  return parts;
}

export interface PreparedBatch {
  readonly batch: Batch;
  /** For each row, the id that it should predict; negative: none. */
  readonly targets_N: Int32Array;
  readonly targetCount: number;
  /** Of each of the batch's spans. */
  readonly sources: readonly number[] | null;
  readonly firstToken: number;
}

/** Lays a micro-batch out as a flat batch: spans, positions, and targets shifted by one. Throws ArgumentError when it is inconsistent. */
export function prepareBatch(micro: MicroBatch, vocabSize: number): PreparedBatch {
  const { ids, labels = ids, rows, length } = micro;
  const count = rows * length;
  const documents = micro.documents ?? new Array<number>(rows).fill(length);
  checkMicroBatch(micro);

  const positions = new Uint32Array(count);
  const targets_N = new Int32Array(count).fill(NO_LABEL);
  const spans: Span[] = [];
  let targetCount = 0;
  let firstRow = 0;
  for (const rowCount of documents) {
    for (let i = 0; i < rowCount; i++) {
      const row = firstRow + i;
      positions[row] = i;
      if (!(ids[row]! >= 0 && ids[row]! < vocabSize)) throw outside('id', ids[row]!, row, vocabSize);
      if (i + 1 >= rowCount || labels[row + 1] === NO_LABEL) continue;
      const target = labels[row + 1]!;
      if (!(target >= 0 && target < vocabSize)) throw outside('label', target, row + 1, vocabSize);
      targets_N[row] = target;
      targetCount++;
    }
    spans.push({ firstRow, rowCount, firstPosition: 0, blocks: new Uint32Array(0) });
    firstRow += rowCount;
  }
  return {
    batch: { ids: Uint32Array.from(ids), positions, spans },
    targets_N,
    targetCount,
    sources: micro.sources ?? null,
    firstToken: micro.firstToken ?? 0,
  };
}

/** Throws ArgumentError `training.batch` when the parts of a micro-batch do not fit together. */
export function checkMicroBatch(micro: MicroBatch): void {
  const problem = problemOf(micro, micro.documents ?? []);
  if (problem) throw new ArgumentError('training.batch', `training batch: ${problem}`);
}

function problemOf({ ids, labels, rows, length, sources }: MicroBatch, documents: readonly number[]): string | null {
  const count = rows * length;
  if (!(count > 0)) return `expected at least one token, got ${rows} rows of ${length}`;
  if (ids.length !== count) return `expected rows × length = ${rows} × ${length} = ${count} ids, got ${ids.length}`;
  if (labels && labels.length !== count) return `expected one label per id = ${count}, got ${labels.length}`;
  if (documents.some((n) => !(Number.isInteger(n) && n > 0))) return 'a document length is not a positive whole number';
  if (sources && sources.length !== documents.length)
    return `expected one source per document = ${documents.length}, got ${sources.length}`;
  const sum = documents.reduce((a, b) => a + b, 0);
  return documents.length === 0 || sum === count ? null : `the document lengths add up to ${sum}, expected ${count}`;
}

function outside(what: string, value: number, at: number, vocabSize: number): ArgumentError {
  return new ArgumentError(
    'training.batch',
    `training batch: ${what} ${value} at token ${at} is outside the vocabulary of ${vocabSize}. Was it tokenized for another model?`,
  );
}
