/**
 * A fastText classifier (or word-vector model) at work:
 *
 *   h = mean of the input rows of the text's words and n-grams        p(label) = softmax(output · h), or a walk down a Huffman tree
 *
 * Numbers  sums are f64 over f32 rows; fastText sums in f32, so probabilities agree to about 1e-6.
 * Source   Joulin et al. 2016, arXiv:1607.01759; hierarchical softmax as in word2vec.
 */
import { WORD_HASH_START, WordTable, wordHashStep } from '../../base/word-table.ts';
import { softmax } from '../../kernels/softmax/reference.ts';
import {
  createVocabulary,
  END_OF_LINE,
  fastTextHash,
  isWordEnd,
  pushWordNgramRows,
  pushWordRows,
  type Vocabulary,
} from './fasttext-features.ts';
import { dense, eachQuantized, type FastTextFile, type FastTextMatrix, parseFastText } from './fasttext-format.ts';

export interface Prediction {
  /** Without the `__label__` prefix. */
  readonly label: string;
  readonly probability: number;
}

const encoder = new TextEncoder();
const LABEL_PREFIX = '__label__';
/** Words that are remembered, and bytes of their summed rows; text repeats its words. */
const KNOWN_WORDS = 50_000;
const SUM_BYTES = 1 << 24;
/** Longer words are rare, and worked out each time. */
const KNOWN_WORD_LENGTH = 64;
/** Quantized matrices of up to so many numbers are spelled out once. */
const SPELLED_NUMBERS = 1 << 24;

/** `row` of a word whose rows are none, or several. */
const NO_ROW = -1;
const SUMMED = -2;

export class FastText {
  readonly file: FastTextFile;
  readonly labels: readonly string[];
  private readonly input: FastTextMatrix;
  private readonly output: FastTextMatrix;
  private readonly vocabulary: Vocabulary;
  private readonly tree: LabelTree | undefined;
  private readonly words: WordTable;
  /** Per known word: its only row, NO_ROW or SUMMED; how many; its sum; its hash for word n-grams. */
  private readonly rows: Int32Array;
  private readonly rowCounts: Int32Array;
  private sums = new Float64Array(0);
  private readonly wordHashes: Uint32Array;

  constructor(file: FastTextFile) {
    this.file = file;
    this.input = dense(file.input, SPELLED_NUMBERS);
    this.output = dense(file.output, SPELLED_NUMBERS);
    this.labels = file.labels.map(({ text }) =>
      text.startsWith(LABEL_PREFIX) ? text.slice(LABEL_PREFIX.length) : text,
    );
    this.vocabulary = createVocabulary(file.args, file.words, file.pruned);
    if (file.args.loss === 1 && file.labels.length > 0)
      this.tree = buildLabelTree(file.labels.map(({ count }) => count));
    const known = file.args.maxn > 0 ? Math.min(KNOWN_WORDS, Math.ceil(SUM_BYTES / 8 / file.args.dim)) : KNOWN_WORDS;
    this.words = new WordTable(known);
    this.rows = new Int32Array(known);
    this.rowCounts = new Int32Array(known);
    this.wordHashes = new Uint32Array(known);
  }

  static parse(bytes: Uint8Array, name: string): FastText {
    return new FastText(parseFastText(bytes, name));
  }

  /** The likeliest labels, best first; nothing when the text has no row in the model. */
  predict(text: string, count = 1): Prediction[] {
    const scores = this.scores(text);
    if (!scores) return [];
    const order = count === 1 ? [indexOfLargest(scores)] : descending(scores).slice(0, count);
    return order.map((i) => ({ label: this.labels[i]!, probability: scores[i]! }));
  }

  /** p(label) for one label. */
  probability(text: string, label: string): number {
    return this.scores(text)?.[this.labels.indexOf(label)] ?? 0;
  }

  /** The vector of a word: the mean of its own row and its n-grams' rows. */
  wordVector(word: string): Float64Array {
    const sum = new Float64Array(this.file.args.dim);
    const count = this.addWord(sum, [], word, 0, word.length, hashOf(word));
    return count === 0 ? sum : sum.map((value) => value / count);
  }

  private scores(text: string): Float64Array | undefined {
    const hidden = this.textVector(text);
    return hidden && this.labels.length > 0
      ? this.tree
        ? this.treeScores(hidden)
        : this.flatScores(hidden)
      : undefined;
  }

  private textVector(text: string): Float64Array | undefined {
    const { dim, wordNgrams } = this.file.args;
    const hidden = new Float64Array(dim);
    const hashes: number[] = [];
    let rowCount = 0;
    for (let from = 0; from < text.length; from++) {
      let hash = WORD_HASH_START;
      let to = from;
      for (; to < text.length; to++) {
        const unit = text.charCodeAt(to);
        if (isWordEnd(unit)) break;
        hash = wordHashStep(hash, unit);
      }
      if (to > from) rowCount += this.addWord(hidden, hashes, text, from, to, hash);
      from = to;
    }
    rowCount += this.addWord(hidden, hashes, END_OF_LINE, 0, END_OF_LINE.length, hashOf(END_OF_LINE));
    if (wordNgrams > 1) {
      const rows: number[] = [];
      pushWordNgramRows(rows, hashes, this.vocabulary);
      for (const row of rows) addRow(hidden, this.input, row);
      rowCount += rows.length;
    }
    if (rowCount === 0) return undefined;
    for (let d = 0; d < dim; d++) hidden[d]! /= rowCount;
    return hidden;
  }

  /** hidden += rows of the word text[from, to); returns how many they are. `hashes` takes the word's own hash, for word n-grams. */
  private addWord(
    hidden: Float64Array,
    hashes: number[],
    text: string,
    from: number,
    to: number,
    hash: number,
  ): number {
    if (to - from > KNOWN_WORD_LENGTH) return this.addUnknown(hidden, hashes, text.slice(from, to));
    const { words } = this;
    let word = words.find(text, from, to, hash);
    if (word < 0) word = this.learnWord(text, from, to, hash);
    if (this.file.args.wordNgrams > 1) hashes.push(this.wordHashes[word]!);
    const row = this.rows[word]!;
    if (row === NO_ROW) return 0;
    if (row !== SUMMED) addRow(hidden, this.input, row);
    else {
      const { sums } = this;
      const start = word * hidden.length;
      for (let d = 0; d < hidden.length; d++) hidden[d]! += sums[start + d]!;
    }
    return this.rowCounts[word]!;
  }

  private learnWord(text: string, from: number, to: number, hash: number): number {
    const { words } = this;
    const { dim } = this.file.args;
    if (words.count === words.limit) words.clear();
    const word = words.add(text, from, to, hash);
    const spelled = text.slice(from, to);
    const rows: number[] = [];
    pushWordRows(rows, spelled, this.vocabulary);
    this.rowCounts[word] = rows.length;
    this.rows[word] = rows.length === 0 ? NO_ROW : rows.length === 1 ? rows[0]! : SUMMED;
    if (this.file.args.wordNgrams > 1) this.wordHashes[word] = fastTextHash(encoder.encode(spelled));
    if (rows.length < 2) return word;
    if ((word + 1) * dim > this.sums.length) {
      const grown = new Float64Array(Math.max(1024, this.sums.length * 2, (word + 1) * dim));
      grown.set(this.sums);
      this.sums = grown;
    }
    const sum = this.sums.subarray(word * dim, (word + 1) * dim).fill(0);
    for (const row of rows) addRow(sum, this.input, row);
    return word;
  }

  private addUnknown(hidden: Float64Array, hashes: number[], word: string): number {
    const rows: number[] = [];
    pushWordRows(rows, word, this.vocabulary);
    const sum = new Float64Array(hidden.length);
    for (const row of rows) addRow(sum, this.input, row);
    for (let d = 0; d < hidden.length; d++) hidden[d]! += sum[d]!;
    if (this.file.args.wordNgrams > 1) hashes.push(fastTextHash(encoder.encode(word)));
    return rows.length;
  }

  private flatScores(hidden: Float64Array): Float64Array {
    const scores = new Float64Array(this.labels.length);
    for (let i = 0; i < scores.length; i++) scores[i] = dotRow(hidden, this.output, i);
    if (this.file.args.loss !== 3) return scores.map((score) => 1 / (1 + Math.exp(-score)));
    softmax(scores, scores);
    return scores;
  }

  /** exp of the sum of log(p + 1e-5) along each leaf's path; the 1e-5 is fastText's own. */
  private treeScores(hidden: Float64Array): Float64Array {
    const { left, right, leafCount } = this.tree!;
    const logs = new Float64Array(left.length);
    for (let node = left.length - 1; node >= leafCount; node--) {
      const p = 1 / (1 + Math.exp(-dotRow(hidden, this.output, node - leafCount)));
      logs[left[node]!] = logs[node]! + Math.log(1 - p + 1e-5);
      logs[right[node]!] = logs[node]! + Math.log(p + 1e-5);
    }
    return logs.subarray(0, leafCount).map(Math.exp);
  }
}

function hashOf(word: string): number {
  let hash = WORD_HASH_START;
  for (let i = 0; i < word.length; i++) hash = wordHashStep(hash, word.charCodeAt(i));
  return hash;
}

/** Of equals the first, as a stable sort would have it. */
function indexOfLargest(scores: Float64Array): number {
  let best = 0;
  for (let i = 1; i < scores.length; i++) if (scores[i]! > scores[best]!) best = i;
  return best;
}

function descending(scores: Float64Array): number[] {
  return Array.from(scores.keys()).sort((a, b) => scores[b]! - scores[a]!);
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
    const { values, columns } = matrix;
    const start = row * columns;
    for (let d = 0; d < columns; d++) target[d]! += values[start + d]!;
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
