/**
 * Trains a modified Kneser–Ney model, as KenLM's lmplz does.
 *
 *   a(g)    = count of g when g is of full order or starts with <s>; else the number of different words seen before g
 *   D_j     = j − (j+1) · y · n_{j+1} / n_j      y = n₁ / (n₁ + 2 n₂)      per order, n_j = n-grams with a = j, j = 1, 2, 3+
 *   p(w|c)  = (a(cw) − D(a(cw))) / Σ a(c·)  +  γ(c) · p(w | c without its first word)
 *   γ(c)    = Σ_j D_j · N_j(c) / Σ a(c·)         N_j(c) = words after c with a = j
 *
 * Single words interpolate with 1/V over the vocabulary, <unk> included, <s> not. Where an n_j is 0 or a D_j leaves [0, j] (tiny
 * corpora), the discounts of that order are the fallback's, and `fallbackOrders` says so.
 *
 * Numbers  as in lmplz, f32 between the steps.
 * Memory   about 80 bytes per distinct n-gram while the model is made; `maximumNgrams` bounds it.
 * Source   Chen & Goodman 1998 §3 eq. 26; Heafield et al. 2013; facts of lmplz in KenLM's adjust_counts and interpolate.
 */
import { ArgumentError } from '../../base/errors.ts';
import { BEGIN_SENTENCE, END_SENTENCE, layOutModel, type NgramModel, UNKNOWN } from './model.ts';
import { NgramTrie, ROOT, widened } from './trie.ts';

/** lmplz --discount_fallback. */
const FALLBACK_DISCOUNTS = [0, 0.5, 1, 1.5] as const;

export interface KneserNeyOptions {
  readonly order: number;
  readonly maximumNgrams?: number;
}

export class KneserNeyTrainer {
  readonly order: number;
  private readonly maximumNgrams: number;
  private readonly trie: NgramTrie;
  private counts: Int32Array;
  private readonly wordIds = new Map<string, number>();
  private readonly begin: number;
  private readonly end: number;

  constructor({ order, maximumNgrams = 100_000_000 }: KneserNeyOptions) {
    if (!(Number.isInteger(order) && order >= 1 && order <= 8)) {
      throw new ArgumentError('ngram.order', `KneserNeyTrainer: order must be 1 to 8, got ${order}. CCNet uses 5.`);
    }
    this.order = order;
    this.maximumNgrams = maximumNgrams;
    this.trie = new NgramTrie(order, 1 << 12);
    this.counts = new Int32Array(this.trie.room);
    this.wordId(UNKNOWN);
    this.begin = this.wordId(BEGIN_SENTENCE);
    this.end = this.wordId(END_SENTENCE);
  }

  /** Whether the next sentence might not fit under the bound. */
  isFull(words: number): boolean {
    return this.trie.nodeCount + (words + 2) * this.order > this.maximumNgrams;
  }

  /** One sentence, without <s> and </s>. The reserved words inside a sentence count as unknown words do: not at all. */
  sentence(words: readonly string[]): void {
    const ids = [this.begin];
    for (const word of words) {
      if (word !== BEGIN_SENTENCE && word !== END_SENTENCE && word !== UNKNOWN) ids.push(this.wordId(word));
    }
    ids.push(this.end);
    for (let start = 0; start < ids.length; start++) {
      let node = ROOT;
      for (let i = start; i < ids.length && i < start + this.order; i++) {
        const child = this.trie.child(node, ids[i]!);
        node = child >= 0 ? child : this.insert(node, ids[i]!);
        this.counts[node]!++;
      }
    }
  }

  /** The model, and which orders needed the fallback discounts. */
  train(): { grams: TrainedNgrams; model: NgramModel; fallbackOrders: number[] } {
    const grams = new TrainedNgrams(this.order, this.trie, this.counts, [...this.wordIds.keys()], this.begin);
    this.counts = new Int32Array(0);
    return { grams, model: grams.model(), fallbackOrders: grams.fallbackOrders };
  }

  private wordId(word: string): number {
    let id = this.wordIds.get(word);
    if (id === undefined) this.wordIds.set(word, (id = this.wordIds.size));
    return id;
  }

  private insert(parent: number, word: number): number {
    if (this.trie.nodeCount > this.maximumNgrams) {
      throw new ArgumentError(
        'ngram.too-many',
        `KneserNeyTrainer: more than ${this.maximumNgrams} different n-grams. Train on fewer lines, or with a lower order.`,
      );
    }
    const node = this.trie.insert(parent, word);
    if (this.trie.room > this.counts.length) this.counts = widened(this.counts, new Int32Array(this.trie.room));
    return node;
  }
}

/** The n-grams with probabilities and backoffs; made once, read in order of length. */
export class TrainedNgrams {
  readonly words: readonly string[];
  readonly fallbackOrders: number[] = [];
  /** Discounts per order (index 1…order) for adjusted counts 1, 2 and 3+. */
  readonly discounts: (readonly number[])[] = [];
  private readonly trie: NgramTrie;
  private readonly nodes: Int32Array;
  private readonly suffixes: Int32Array;
  private readonly probabilities: Float32Array;
  private readonly gammas: Float32Array;
  private readonly begin: number;

  constructor(order: number, trie: NgramTrie, counts: Int32Array, words: readonly string[], begin: number) {
    this.trie = trie;
    this.words = words;
    this.begin = begin;
    this.nodes = trie.byLength();
    this.suffixes = trie.suffixLinks();
    this.adjust(order, counts);
    this.discounts = this.estimateDiscounts(order, counts);
    const { totals, gammas } = this.normalise(counts);
    this.gammas = gammas;
    this.probabilities = this.interpolate(counts, totals);
  }

  /** The model, <unk> added to the trie. Once. */
  model(): NgramModel {
    const unknown = this.trie.insert(ROOT, this.words.indexOf(UNKNOWN));
    const log10 = (value: number) => (value > 0 ? Math.log10(value) : 0);
    return layOutModel(
      this.trie,
      this.suffixes,
      this.words,
      (node) =>
        node === unknown
          ? Math.log10(this.unknownProbability())
          : this.isBegin(node)
            ? 0
            : Math.log10(this.probabilities[node]!),
      (node) => log10(this.gammas[node] ?? 0),
    );
  }

  /** n-grams, shortest first: word ids, log10 probability, log10 backoff. <unk> and <s> are among them. */
  *entries(): Generator<{ words: number[]; probability: number; backoff: number }> {
    yield { words: [0], probability: Math.log10(this.unknownProbability()), backoff: 0 };
    for (const node of this.nodes) {
      const words: number[] = [];
      for (let at = node; at !== ROOT; at = this.trie.parents[at]!) words.unshift(this.trie.words[at]!);
      const gamma = this.gammas[node]!;
      const probability = this.isBegin(node) ? 0 : Math.log10(this.probabilities[node]!);
      yield { words, probability, backoff: gamma > 0 ? Math.log10(gamma) : 0 };
    }
  }

  /** The model as an ARPA file, line by line. */
  *arpa(): Generator<string> {
    const { trie, words } = this;
    const counts = new Array<number>(trie.order + 1).fill(0);
    counts[1] = 1; // <unk>
    for (const node of this.nodes) counts[trie.lengths[node]!]!++;
    yield '\\data\\\n';
    for (let order = 1; order <= trie.order; order++) yield `ngram ${order}=${counts[order]}\n`;
    let order = 0;
    for (const { words: ids, probability, backoff } of this.entries()) {
      while (order < ids.length) yield `\n\\${++order}-grams:\n`;
      const tail = ids.length < trie.order ? `\t${Math.fround(backoff)}` : '';
      yield `${Math.fround(probability)}\t${ids.map((id) => words[id]).join(' ')}${tail}\n`;
    }
    while (order < trie.order) yield `\n\\${++order}-grams:\n`;
    yield '\n\\end\\\n';
  }

  /** Counts become adjusted counts, in their place. */
  private adjust(order: number, counts: Int32Array): void {
    const { trie, suffixes } = this;
    const startsWithBegin = new Uint8Array(trie.nodeCount);
    for (const node of this.nodes) {
      const parent = trie.parents[node]!;
      startsWithBegin[node] = parent === ROOT ? Number(trie.words[node] === this.begin) : startsWithBegin[parent]!;
      if (trie.lengths[node]! < order && !startsWithBegin[node]) counts[node] = 0;
    }
    for (const node of this.nodes) {
      if (trie.lengths[node]! < 2) continue;
      const suffix = suffixes[node]!;
      if (!startsWithBegin[suffix] && trie.lengths[suffix]! < order) counts[suffix]!++;
    }
  }

  private estimateDiscounts(order: number, adjusted: Int32Array): (readonly number[])[] {
    const n = Array.from({ length: order + 1 }, () => [0, 0, 0, 0, 0]);
    for (const node of this.nodes) {
      const a = adjusted[node]!;
      const isBegin = this.trie.parents[node] === ROOT && this.trie.words[node] === this.begin;
      if (a <= 4 && !isBegin) n[this.trie.lengths[node]!]![a]!++;
    }
    return n.map((counts, length) => {
      if (length === 0) return [];
      const [, n1, n2] = counts as [number, number, number];
      const y = n1 / (n1 + 2 * n2);
      const discounts = [0, 1, 2, 3].map((j) => (j === 0 ? 0 : j - ((j + 1) * y * counts[j + 1]!) / counts[j]!));
      if (discounts.every((d, j) => d >= 0 && d <= j)) return discounts;
      this.fallbackOrders.push(length);
      return FALLBACK_DISCOUNTS;
    });
  }

  /** Σ a(c·) and γ(c) of every context. */
  private normalise(adjusted: Int32Array): { totals: Float64Array; gammas: Float32Array } {
    const { trie } = this;
    const totals = new Float64Array(trie.nodeCount);
    const discounted = new Float64Array(trie.nodeCount);
    for (const node of this.nodes) {
      if (this.isBegin(node)) continue;
      const context = trie.parents[node]!;
      totals[context]! += adjusted[node]!;
      discounted[context]! += this.discountOf(node, adjusted[node]!);
    }
    const gammas = new Float32Array(trie.nodeCount);
    for (let context = 0; context < totals.length; context++)
      if (totals[context]! > 0) gammas[context] = discounted[context]! / totals[context]!;
    return { totals, gammas };
  }

  private interpolate(adjusted: Int32Array, totals: Float64Array): Float32Array {
    const { trie, suffixes } = this;
    const probabilities = new Float32Array(trie.nodeCount);
    const uniform = this.uniform();
    for (const node of this.nodes) {
      const context = trie.parents[node]!;
      const lower = context === ROOT ? uniform : probabilities[suffixes[node]!]!;
      const a = adjusted[node]!;
      const own = this.isBegin(node) ? 0 : (a - this.discountOf(node, a)) / totals[context]!;
      probabilities[node] = own + this.gammas[context]! * lower;
    }
    return probabilities;
  }

  private discountOf(node: number, adjusted: number): number {
    return this.discounts[this.trie.lengths[node]!]![Math.min(3, adjusted)]!;
  }

  private isBegin(node: number): boolean {
    return this.trie.parents[node] === ROOT && this.trie.words[node] === this.begin;
  }

  /** 1 / V: every word and </s> and <unk>, without <s>. */
  private uniform(): number {
    return 1 / (this.words.length - 1);
  }

  private unknownProbability(): number {
    return this.gammas[ROOT]! * this.uniform();
  }
}
