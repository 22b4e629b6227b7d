/** Makes an NgramModel from n-grams that come one by one, shorter ones first. */
import { layOutModel, type NgramModel, UNKNOWN } from './model.ts';
import { NgramTrie, ROOT, widened } from './trie.ts';

/** log10 p(<unk>) of a model that does not say, as in KenLM. */
const UNKNOWN_PROBABILITY = -100;

export class NgramBuilder {
  private readonly wordIds = new Map<string, number>();
  private readonly trie: NgramTrie;
  private probabilities: Float32Array;
  private backoffs: Float32Array;

  constructor(order: number, expectedNodes: number) {
    this.trie = new NgramTrie(order, expectedNodes);
    this.probabilities = new Float32Array(this.trie.room);
    this.backoffs = new Float32Array(this.trie.room);
  }

  /** The id of a word, given out on first sight. */
  wordId(word: string): number {
    let id = this.wordIds.get(word);
    if (id === undefined) this.wordIds.set(word, (id = this.wordIds.size));
    return id;
  }

  /** One n-gram: word ids, log10 probability, log10 backoff (0 when there is none). */
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

  finish(): NgramModel {
    const unknownId = this.wordId(UNKNOWN);
    if (this.trie.child(ROOT, unknownId) < 0) this.insert(ROOT, unknownId, UNKNOWN_PROBABILITY, 0);
    const { probabilities, backoffs } = this;
    return layOutModel(
      this.trie,
      this.trie.suffixLinks(),
      [...this.wordIds.keys()],
      (node) => probabilities[node]!,
      (node) => backoffs[node]!,
    );
  }

  /** Score of an n-gram that is not in the model, from its shorter forms; only for blanks. */
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
    return score + UNKNOWN_PROBABILITY;
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
