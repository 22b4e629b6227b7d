/**
 * A backoff n-gram language model, and its score of a sentence.
 *
 *   p(w | c) = prob(c w)                             if c w is in the model
 *            = backoff(c) · p(w | c without its first word)   otherwise            (log10 throughout; a missing backoff is 0)
 *
 * Each n-gram's node in the trie knows its longest proper suffix that is in the model too, so that scoring walks like an automaton:
 * usually one lookup per word, no strings, no context copying.
 *
 * Numbers  probabilities and backoffs are f32 as in KenLM; sums are f64.
 * Source   Katz 1987; Heafield 2011 (KenLM), whose published scores on test.arpa are the test.
 */
import { NgramTrie, ROOT, widened } from './trie.ts';

export const BEGIN_SENTENCE = '<s>';
export const END_SENTENCE = '</s>';
export const UNKNOWN = '<unk>';

export class NgramModel {
  readonly order: number;
  readonly wordIds = new Map<string, number>();
  private readonly trie: NgramTrie;
  private probabilities: Float32Array;
  private backoffs: Float32Array;
  private suffixes: Int32Array = new Int32Array(0);
  /** The word id that stands for every word that is not in the model. */
  private unknownId = -1;

  constructor(order: number, expectedNodes: number, trie = new NgramTrie(order, expectedNodes)) {
    this.order = order;
    this.trie = trie;
    this.probabilities = new Float32Array(this.trie.room);
    this.backoffs = new Float32Array(this.trie.room);
  }

  /** Everything a finished model consists of, for ngram/file.ts. */
  columns() {
    const count = this.trie.nodeCount;
    return {
      ...this.trie.columns(),
      probabilities: this.probabilities.subarray(0, count),
      backoffs: this.backoffs.subarray(0, count),
      suffixes: this.suffixes,
    };
  }

  static fromColumns(order: number, words: readonly string[], columns: ReturnType<NgramModel['columns']>): NgramModel {
    const model = new NgramModel(order, 0, NgramTrie.fromColumns(order, columns));
    for (const word of words) model.wordId(word);
    model.unknownId = model.wordId(UNKNOWN);
    model.probabilities = columns.probabilities;
    model.backoffs = columns.backoffs;
    model.suffixes = columns.suffixes;
    return model;
  }

  /** n-grams of every order, blanks included. */
  get size(): number {
    return this.trie.nodeCount - 1;
  }

  /** The id of a word, given out on first sight. */
  wordId(word: string): number {
    let id = this.wordIds.get(word);
    if (id === undefined) this.wordIds.set(word, (id = this.wordIds.size));
    return id;
  }

  /** One n-gram: word ids, log10 probability, log10 backoff (0 when there is none). Shorter n-grams come first. */
  add(words: ArrayLike<number>, length: number, log10Probability: number, log10Backoff: number): void {
    let parent = ROOT;
    for (let i = 0; i < length - 1; i++) {
      const child = this.trie.child(parent, words[i]!);
      // A pruned model may lack the context itself: a blank that scores as its shorter forms do.
      parent = child >= 0 ? child : this.insert(parent, words[i]!, this.backedOff(words, i + 1), 0);
    }
    const node = this.trie.child(parent, words[length - 1]!);
    if (node < 0) this.insert(parent, words[length - 1]!, log10Probability, log10Backoff);
    else {
      this.probabilities[node] = log10Probability;
      this.backoffs[node] = log10Backoff;
    }
  }

  /** After the last add(): makes sure of <unk> (log10 −100 when the model has none, as KenLM) and links every node to its suffix. */
  finish(): this {
    this.unknownId = this.wordId(UNKNOWN);
    if (this.trie.child(ROOT, this.unknownId) < 0) this.insert(ROOT, this.unknownId, -100, 0);
    this.suffixes = this.trie.suffixLinks();
    return this;
  }

  /** The state at the start of a sentence. */
  begin(): number {
    const id = this.wordIds.get(BEGIN_SENTENCE);
    return id === undefined ? ROOT : Math.max(ROOT, this.trie.child(ROOT, id));
  }

  /** The state that knows nothing of what came before. */
  empty(): number {
    return ROOT;
  }

  /** log10 probability of the last step. */
  lastScore = 0;
  /** Length of the n-gram that gave it, the word included. */
  lastLength = 0;

  /** Leaves log10 p(word | state) in `lastScore` and returns the next state. Out-of-vocabulary words score as <unk>. */
  step(state: number, word: string): number {
    const id = this.wordIds.get(word) ?? this.unknownId;
    let score = 0;
    for (let context = state; ; ) {
      let node = this.trie.child(context, id);
      // A word that only longer n-grams hold is unknown alone.
      if (node < 0 && context === ROOT) node = this.trie.child(ROOT, this.unknownId);
      if (node >= 0) {
        this.lastScore = score + this.probabilities[node]!;
        this.lastLength = this.trie.lengths[node]!;
        return this.lastLength >= this.order ? this.suffixes[node]! : node;
      }
      score += this.backoffs[context]!;
      context = this.suffixes[context]!;
    }
  }

  /** log10 p of a sentence of words, from <s> to </s>: what KenLM's score(sentence) returns. */
  score(words: readonly string[]): number {
    let state = this.begin();
    let sum = 0;
    for (const word of words) {
      state = this.step(state, word);
      sum += this.lastScore;
    }
    this.step(state, END_SENTENCE);
    return sum + this.lastScore;
  }

  /** Score of an n-gram that is not in the model, from its shorter forms; only for blanks while loading. */
  private backedOff(words: ArrayLike<number>, length: number): number {
    let score = 0;
    for (let start = 0; start < length; start++) {
      let context: number = ROOT;
      for (let i = start; i < length - 1 && context >= 0; i++) context = this.trie.child(context, words[i]!);
      if (context < 0) continue;
      const node = this.trie.child(context, words[length - 1]!);
      if (node >= 0) return score + this.probabilities[node]!;
      score += this.backoffs[context]!;
    }
    return score - 100;
  }

  private insert(parent: number, word: number, probability: number, backoff: number): number {
    const node = this.trie.insert(parent, word);
    if (this.trie.room > this.probabilities.length) {
      this.probabilities = widened(this.probabilities, new Float32Array(this.trie.room));
      this.backoffs = widened(this.backoffs, new Float32Array(this.trie.room));
    }
    this.probabilities[node] = probability;
    this.backoffs[node] = backoff;
    return node;
  }
}
