/**
 * A fastText classifier (or word-vector model) at work:
 *
 *   h = mean of the input rows of the text's words and n-grams        p(label) = softmax(output · h), or a walk down a Huffman tree
 *
 * Numbers  sums are f64 over f32 rows; fastText sums in f32, so probabilities agree to about 1e-6.
 * Source   Joulin et al. 2016, arXiv:1607.01759; hierarchical softmax as in word2vec.
 */
import { softmax } from '../../kernels/softmax/reference.ts';
import {
  createVocabulary,
  END_OF_LINE,
  fastTextHash,
  pushWordNgramRows,
  pushWordRows,
  splitWords,
  type Vocabulary,
} from './fasttext-features.ts';
import { type FastTextFile, type FastTextMatrix, parseFastText, type QuantizedMatrix } from './fasttext-format.ts';

export interface Prediction {
  /** Without the `__label__` prefix. */
  readonly label: string;
  readonly probability: number;
}

const encoder = new TextEncoder();
const LABEL_PREFIX = '__label__';
/** Words whose summed rows are remembered; text repeats its words. */
const CACHE_WORDS = 50_000;

interface WordSum {
  readonly sum: Float64Array;
  readonly rowCount: number;
  readonly hash: number;
}

export class FastText {
  readonly file: FastTextFile;
  readonly labels: readonly string[];
  private readonly vocabulary: Vocabulary;
  private readonly tree: LabelTree | undefined;
  private readonly cache = new Map<string, WordSum>();

  constructor(file: FastTextFile) {
    this.file = file;
    this.labels = file.labels.map(({ text }) =>
      text.startsWith(LABEL_PREFIX) ? text.slice(LABEL_PREFIX.length) : text,
    );
    this.vocabulary = createVocabulary(file.args, file.words, file.pruned);
    if (file.args.loss === 1 && file.labels.length > 0)
      this.tree = buildLabelTree(file.labels.map(({ count }) => count));
  }

  static parse(bytes: Uint8Array, name: string): FastText {
    return new FastText(parseFastText(bytes, name));
  }

  /** The likeliest labels, best first; nothing when the text has no row in the model. */
  predict(text: string, count = 1): Prediction[] {
    const hidden = this.textVector(text);
    if (!hidden) return [];
    const scores = this.tree ? this.treeScores(hidden) : this.flatScores(hidden);
    return this.labels
      .map((label, i) => ({ label, probability: scores[i]! }))
      .sort((a, b) => b.probability - a.probability)
      .slice(0, count);
  }

  /** p(label) for one label. */
  probability(text: string, label: string): number {
    return this.predict(text, this.labels.length).find((each) => each.label === label)?.probability ?? 0;
  }

  /** The vector of a word: the mean of its own row and its n-grams' rows. */
  wordVector(word: string): Float64Array {
    const { sum, rowCount } = this.wordSum(word);
    return rowCount === 0 ? sum : sum.map((value) => value / rowCount);
  }

  private textVector(text: string): Float64Array | undefined {
    const { dim, wordNgrams } = this.file.args;
    const hidden = new Float64Array(dim);
    const hashes: number[] = [];
    let rowCount = 0;
    const words = splitWords(text);
    words.push(END_OF_LINE);
    for (const word of words) {
      const known = this.wordSum(word);
      for (let d = 0; d < dim; d++) hidden[d]! += known.sum[d]!;
      rowCount += known.rowCount;
      if (wordNgrams > 1) hashes.push(known.hash);
    }
    if (wordNgrams > 1) {
      const rows: number[] = [];
      pushWordNgramRows(rows, hashes, this.vocabulary);
      for (const row of rows) addRow(hidden, this.file.input, row);
      rowCount += rows.length;
    }
    if (rowCount === 0) return undefined;
    for (let d = 0; d < dim; d++) hidden[d]! /= rowCount;
    return hidden;
  }

  private wordSum(word: string): WordSum {
    const cached = this.cache.get(word);
    if (cached) return cached;
    const rows: number[] = [];
    pushWordRows(rows, word, this.vocabulary);
    const sum = new Float64Array(this.file.args.dim);
    for (const row of rows) addRow(sum, this.file.input, row);
    const result = { sum, rowCount: rows.length, hash: fastTextHash(encoder.encode(word)) };
    if (this.cache.size >= CACHE_WORDS) this.cache.clear();
    if (word.length <= 64) this.cache.set(word, result);
    return result;
  }

  private flatScores(hidden: Float64Array): Float64Array {
    const scores = new Float64Array(this.labels.length);
    for (let i = 0; i < scores.length; i++) scores[i] = dotRow(hidden, this.file.output, i);
    if (this.file.args.loss !== 3) return scores.map((score) => 1 / (1 + Math.exp(-score)));
    softmax(scores, scores);
    return scores;
  }

  /** exp of the sum of log(p + 1e-5) along each leaf's path; the 1e-5 is fastText's own. */
  private treeScores(hidden: Float64Array): Float64Array {
    const { left, right, leafCount } = this.tree!;
    const logs = new Float64Array(left.length);
    for (let node = left.length - 1; node >= leafCount; node--) {
      const p = 1 / (1 + Math.exp(-dotRow(hidden, this.file.output, node - leafCount)));
      logs[left[node]!] = logs[node]! + Math.log(1 - p + 1e-5);
      logs[right[node]!] = logs[node]! + Math.log(p + 1e-5);
    }
    return logs.subarray(0, leafCount).map(Math.exp);
  }
}

interface LabelTree {
  readonly leafCount: number;
  readonly left: Int32Array;
  readonly right: Int32Array;
}

/** Huffman tree over label counts, which come in descending order; children always have lower numbers than their parent. */
function buildLabelTree(counts: readonly number[]): LabelTree {
  const leafCount = counts.length;
  const size = 2 * leafCount - 1;
  const count = new Float64Array(size).fill(1e15);
  count.set(counts);
  const left = new Int32Array(size);
  const right = new Int32Array(size);
  let leaf = leafCount - 1;
  let node = leafCount;
  const take = () => (leaf >= 0 && count[leaf]! < count[node]! ? leaf-- : node++);
  for (let i = leafCount; i < size; i++) {
    left[i] = take();
    right[i] = take();
    count[i] = count[left[i]!]! + count[right[i]!]!;
  }
  return { leafCount, left, right };
}

/** target += matrix[row] */
export function addRow(target: Float64Array, matrix: FastTextMatrix, row: number): void {
  if (matrix.kind === 'dense') {
    const start = row * matrix.columns;
    for (let d = 0; d < target.length; d++) target[d]! += matrix.values[start + d]!;
  } else eachQuantized(matrix, row, (d, value) => (target[d]! += value));
}

function dotRow(vector: Float64Array, matrix: FastTextMatrix, row: number): number {
  let sum = 0;
  if (matrix.kind === 'dense') {
    const start = row * matrix.columns;
    for (let d = 0; d < vector.length; d++) sum += vector[d]! * matrix.values[start + d]!;
  } else eachQuantized(matrix, row, (d, value) => (sum += vector[d]! * value));
  return sum;
}

/** Visits the numbers of a product-quantized row: norm · centroid[part][code]. */
function eachQuantized(matrix: QuantizedMatrix, row: number, visit: (d: number, value: number) => void): void {
  const { parts, partSize, lastPartSize, centroids } = matrix.quantizer;
  const norm = matrix.normCodes ? matrix.normQuantizer!.centroids[matrix.normCodes[row]!]! : 1;
  for (let part = 0; part < parts; part++) {
    const code = matrix.codes[row * parts + part]!;
    const isLast = part === parts - 1;
    const size = isLast ? lastPartSize : partSize;
    const start = isLast ? part * 256 * partSize + code * lastPartSize : (part * 256 + code) * partSize;
    for (let n = 0; n < size; n++) visit(part * partSize + n, norm * centroids[start + n]!);
  }
}
