/**
 * `fasttext supervised`: a linear classifier over averaged word and n-gram vectors, trained by plain SGD with a learning rate that
 * falls linearly to zero. This is LLaMA's "pages used as references in Wikipedia against random pages" model.
 * The caller brings the examples, once to count words and then once per epoch, so that they never have to fit in memory.
 *
 *   for each example: h = mean rows · p = softmax(out · h) · out_i += lr (y_i − p_i) h · rows += lr/n Σ (y_i − p_i) out_i
 *
 * Source: Joulin et al. 2016, arXiv:1607.01759; defaults are fastText's. One thread: same examples, same seed, same bits.
 */
import { assert } from '../../base/assert.ts';
import { Random } from '../../base/random.ts';
import { softmax } from '../../kernels/softmax/reference.ts';
import { createVocabulary, END_OF_LINE, lineRows, splitWords, type Vocabulary } from './fasttext-features.ts';
import type { DictionaryEntry, FastTextFile } from './fasttext-format.ts';

export interface SupervisedOptions {
  readonly dim: number;
  readonly learningRate: number;
  readonly epochs: number;
  readonly minCount: number;
  readonly wordNgrams: number;
  /** Rows for hashed n-grams; used only with word or character n-grams. */
  readonly bucket: number;
  readonly minn: number;
  readonly maxn: number;
  readonly seed: number;
}

export const supervisedDefaults: SupervisedOptions = {
  dim: 100,
  learningRate: 0.1,
  epochs: 5,
  minCount: 1,
  wordNgrams: 1,
  bucket: 2_000_000,
  minn: 0,
  maxn: 0,
  seed: 0,
};

export class SupervisedTrainer {
  private readonly options: SupervisedOptions;
  private readonly wordCounts = new Map<string, number>();
  private readonly labelCounts = new Map<string, number>();
  private tokenCount = 0;
  private tokensSeen = 0;
  private lossSum = 0;
  private lossCount = 0;
  private model: TrainingState | undefined;

  constructor(options: Partial<SupervisedOptions> = {}) {
    this.options = { ...supervisedDefaults, ...options };
  }

  /** First pass: every example once. */
  count(label: string, text: string): void {
    assert(this.model === undefined, 'SupervisedTrainer: count() comes before start()');
    const words = splitWords(text);
    words.push(END_OF_LINE);
    for (const word of words) this.wordCounts.set(word, (this.wordCounts.get(word) ?? 0) + 1);
    this.labelCounts.set(label, (this.labelCounts.get(label) ?? 0) + 1);
    this.tokenCount += words.length + 1;
  }

  /** Between the passes: fixes the dictionary and the first weights. */
  start(): void {
    const { dim, minCount, minn, maxn, wordNgrams, seed } = this.options;
    const words = byCount(this.wordCounts).filter(({ count }) => count >= minCount);
    const labels = byCount(this.labelCounts);
    const bucket = maxn > 0 || wordNgrams > 1 ? this.options.bucket : 0;
    const vocabulary = createVocabulary({ bucket, minn, maxn, wordNgrams }, words, undefined);
    const input = new Float32Array((words.length + bucket) * dim);
    const random = new Random(seed);
    for (let i = 0; i < input.length; i++) input[i] = ((random.uint32() / 2 ** 31 - 1) * 1) / dim;
    this.model = { words, labels, vocabulary, input, output: new Float32Array(labels.length * dim), bucket };
  }

  /** One example of one epoch. */
  learn(label: string, text: string): void {
    const { model, options } = this;
    assert(model !== undefined, 'SupervisedTrainer: learn() comes after start()');
    const target = model.labels.findIndex((each) => each.text === label);
    assert(target >= 0, `SupervisedTrainer: label ${label} was not counted`);
    const progress = Math.min(1, this.tokensSeen / (options.epochs * this.tokenCount));
    const rows = lineRows(text, model.vocabulary);
    this.tokensSeen += splitWords(text).length + 2;
    if (rows.length === 0) return;
    this.lossSum += step(model, options.dim, rows, target, options.learningRate * (1 - progress));
    this.lossCount++;
  }

  /** Mean loss since the last call. */
  takeLoss(): number {
    const loss = this.lossSum / this.lossCount;
    this.lossSum = 0;
    this.lossCount = 0;
    return loss;
  }

  finish(): FastTextFile {
    const { model, options } = this;
    assert(model !== undefined, 'SupervisedTrainer: finish() comes after start()');
    const { dim, epochs, minCount, wordNgrams, minn, maxn } = options;
    const { words, labels, bucket } = model;
    return {
      args: {
        dim,
        ws: 5,
        epoch: epochs,
        minCount,
        neg: 5,
        wordNgrams,
        loss: 3,
        model: 3,
        bucket,
        minn,
        maxn,
        lrUpdateRate: 100,
        t: 1e-4,
      },
      words,
      labels: labels.map(({ text, count }) => ({ text: `__label__${text}`, count })),
      tokenCount: this.tokenCount,
      pruned: undefined,
      input: { kind: 'dense', rows: words.length + bucket, columns: dim, values: model.input },
      output: { kind: 'dense', rows: labels.length, columns: dim, values: model.output },
    };
  }
}

interface TrainingState {
  readonly words: readonly DictionaryEntry[];
  readonly labels: readonly DictionaryEntry[];
  readonly vocabulary: Vocabulary;
  readonly input: Float32Array;
  readonly output: Float32Array;
  readonly bucket: number;
}

/** Most frequent first; ties in text order, so that the dictionary does not depend on which example came first. */
function byCount(counts: ReadonlyMap<string, number>): DictionaryEntry[] {
  return [...counts]
    .map(([text, count]) => ({ text, count }))
    .sort((a, b) => b.count - a.count || (a.text < b.text ? -1 : 1));
}

/** One SGD step; returns −log p(target). */
function step(
  model: TrainingState,
  dim: number,
  rows: readonly number[],
  target: number,
  learningRate: number,
): number {
  const { input, output, labels } = model;
  const hidden = new Float64Array(dim);
  for (const row of rows) for (let d = 0; d < dim; d++) hidden[d]! += input[row * dim + d]!;
  for (let d = 0; d < dim; d++) hidden[d]! /= rows.length;
  const p = new Float64Array(labels.length);
  for (let i = 0; i < p.length; i++) {
    let score = 0;
    for (let d = 0; d < dim; d++) score += output[i * dim + d]! * hidden[d]!;
    p[i] = score;
  }
  softmax(p, p);
  const gradient = new Float64Array(dim);
  for (let i = 0; i < p.length; i++) {
    const alpha = learningRate * ((i === target ? 1 : 0) - p[i]!);
    for (let d = 0; d < dim; d++) {
      gradient[d]! += alpha * output[i * dim + d]!;
      output[i * dim + d]! += alpha * hidden[d]!;
    }
  }
  for (let d = 0; d < dim; d++) gradient[d]! /= rows.length;
  for (const row of rows) for (let d = 0; d < dim; d++) input[row * dim + d]! += gradient[d]!;
  return -Math.log(p[target]!);
}
