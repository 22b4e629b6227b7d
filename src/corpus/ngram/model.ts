/**
 * A backoff n-gram language model, and its score of a sentence.
 *
 *   p(w | c) = prob(c w)                             if c w is in the model
 *            = backoff(c) · p(w | c without its first word)   otherwise            (log10 throughout; a missing backoff is 0)
 *
 * Every n-gram knows the longest proper suffix of it that is in the model too, so that scoring walks like an automaton: usually one or two
 * lookups per word, no strings, no context copying. A lookup is a visit to memory far away, so what belongs together lies together: the words
 * after a context are a hash table of its own, and these tables stand in the order in which contexts were first seen, often ones first.
 *
 *   contexts   suffix · backoff · first slot · slots       n-grams shorter than the order; 0 is the empty context
 *   slots      word · next state · probability             open addressing within each context; word −1 is empty
 *
 * The next state of an n-gram of full order is that of its suffix, written as its complement, which says how long the match was.
 *
 * Numbers  probabilities and backoffs are f32 as in KenLM; sums are f64.
 * Memory   12 bytes a slot, 3 slots for 2 n-grams, and 17 bytes a context.
 * Source   Katz 1987; Heafield 2011 (KenLM), whose published scores on test.arpa are the test.
 */
import { type NgramTrie, ROOT } from './trie.ts';

export const BEGIN_SENTENCE = '<s>';
export const END_SENTENCE = '</s>';
export const UNKNOWN = '<unk>';

const SLOT_WORDS = 3;
const CONTEXT_WORDS = 4;
const EMPTY = -1;

/** Everything but the words, as plain numbers: what ngram/file.ts writes, and what workers share. */
export interface NgramColumns {
  readonly slots: Int32Array;
  readonly contexts: Int32Array;
  /** Words in each context. */
  readonly lengths: Uint8Array;
}

export class NgramModel {
  readonly order: number;
  /** n-grams of every order, blanks included. */
  readonly size: number;
  readonly words: readonly string[];
  readonly columns: NgramColumns;
  private readonly wordIds: ReadonlyMap<string, number>;
  private readonly unknownId: number;
  private readonly endId: number;
  /** The same memory as numbers of the other kind. */
  private readonly probabilities: Float32Array;
  private readonly backoffs: Float32Array;

  constructor(order: number, size: number, words: readonly string[], columns: NgramColumns) {
    this.order = order;
    this.size = size;
    this.words = words;
    this.columns = columns;
    this.wordIds = new Map(words.map((word, id) => [word, id]));
    this.unknownId = this.wordIds.get(UNKNOWN)!;
    this.endId = this.scoringId(END_SENTENCE);
    this.probabilities = floatsOf(columns.slots);
    this.backoffs = floatsOf(columns.contexts);
  }

  /** The state at the start of a sentence. */
  begin(): number {
    const id = this.wordIds.get(BEGIN_SENTENCE);
    const at = id === undefined ? -1 : this.find(ROOT, id);
    return at < 0 ? ROOT : stateOf(this.columns.slots[at + 1]!);
  }

  /** The state that knows nothing of what came before. */
  empty(): number {
    return ROOT;
  }

  /** log10 probability of the last step. */
  lastScore = 0;
  private lastNext = 0;

  /** Length of the n-gram that gave the last score, the word included. */
  get lastLength(): number {
    return this.lastNext < 0 ? this.order : this.columns.lengths[this.lastNext]!;
  }

  /** The id that a word scores by: its own, or that of <unk>. */
  scoringId(word: string): number {
    return this.wordIds.get(word) ?? this.unknownId;
  }

  /** Leaves log10 p(word | state) in `lastScore` and returns the next state. Out-of-vocabulary words score as <unk>. */
  step(state: number, word: string): number {
    return this.stepId(state, this.scoringId(word));
  }

  /** The same for a word's scoringId. */
  stepId(state: number, id: number): number {
    const { contexts } = this.columns;
    let score = 0;
    for (let context = state; ; ) {
      let at = this.find(context, id);
      // A word that only longer n-grams hold is unknown alone.
      if (at < 0 && context === ROOT) at = this.find(ROOT, this.unknownId);
      if (at >= 0) {
        this.lastScore = score + this.probabilities[at + 2]!;
        this.lastNext = this.columns.slots[at + 1]!;
        return stateOf(this.lastNext);
      }
      score += this.backoffs[context * CONTEXT_WORDS + 1]!;
      context = contexts[context * CONTEXT_WORDS]!;
    }
  }

  /** log10 p of a sentence of words, from <s> to </s>: what KenLM's score(sentence) returns. */
  score(words: readonly string[]): number {
    return this.scoreIds(Int32Array.from(words, (word) => this.scoringId(word)));
  }

  /** The same for words' scoringIds. */
  scoreIds(ids: Int32Array): number {
    let state = this.begin();
    let sum = 0;
    for (let i = 0; i < ids.length; i++) {
      state = this.stepId(state, ids[i]!);
      sum += this.lastScore;
    }
    this.stepId(state, this.endId);
    return sum + this.lastScore;
  }

  /** Where the slot of context + word begins, or −1. */
  private find(context: number, word: number): number {
    const { contexts, slots } = this.columns;
    const count = contexts[context * CONTEXT_WORDS + 3]!;
    if (count === 0) return -1;
    const first = contexts[context * CONTEXT_WORDS + 2]! * SLOT_WORDS;
    const end = first + count * SLOT_WORDS;
    let at = first + slotOf(word, count) * SLOT_WORDS;
    for (let visited = 0; visited < count; visited++) {
      const found = slots[at]!;
      if (found === word) return at;
      if (found === EMPTY) return -1;
      at += SLOT_WORDS;
      if (at === end) at = first;
    }
    return -1;
  }
}

/** A finished trie and its numbers, log10, as a model. `suffixes`: NgramTrie.suffixLinks(). */
export function layOutModel(
  trie: NgramTrie,
  suffixes: Int32Array,
  words: readonly string[],
  probabilityOf: (node: number) => number,
  backoffOf: (node: number) => number,
): NgramModel {
  const { order, nodeCount, parents, lengths: nodeLengths } = trie;
  const contextOf = new Int32Array(nodeCount).fill(-1);
  let contextCount = 0;
  for (let node = 0; node < nodeCount; node++)
    if (node === ROOT || nodeLengths[node]! < order) contextOf[node] = contextCount++;
  const contexts = new Int32Array(contextCount * CONTEXT_WORDS);
  const lengths = new Uint8Array(contextCount);
  const backoffs = floatsOf(contexts);
  for (let node = 1; node < nodeCount; node++) contexts[contextOf[parents[node]!]! * CONTEXT_WORDS + 3]!++;
  let slotCount = 0;
  for (let at = 0; at < contexts.length; at += CONTEXT_WORDS) {
    contexts[at + 2] = slotCount;
    slotCount += contexts[at + 3] = slotsFor(contexts[at + 3]!);
  }
  const slots = new Int32Array(slotCount * SLOT_WORDS).fill(EMPTY);
  const probabilities = floatsOf(slots);
  for (let node = 1; node < nodeCount; node++) {
    const suffix = contextOf[suffixes[node]!]!;
    const own = contextOf[node]!;
    if (own >= 0) {
      contexts[own * CONTEXT_WORDS] = suffix;
      backoffs[own * CONTEXT_WORDS + 1] = backoffOf(node);
      lengths[own] = nodeLengths[node]!;
    }
    const context = contextOf[parents[node]!]! * CONTEXT_WORDS;
    const first = contexts[context + 2]! * SLOT_WORDS;
    const end = first + contexts[context + 3]! * SLOT_WORDS;
    const word = trie.words[node]!;
    let at = first + slotOf(word, contexts[context + 3]!) * SLOT_WORDS;
    while (slots[at] !== EMPTY) at = at + SLOT_WORDS === end ? first : at + SLOT_WORDS;
    slots[at] = word;
    slots[at + 1] = own >= 0 ? own : ~suffix;
    probabilities[at + 2] = probabilityOf(node);
  }
  return new NgramModel(order, nodeCount - 1, words, { slots, contexts, lengths });
}

/** Slots for so many words: a lone word needs no room beside it. */
function slotsFor(words: number): number {
  return words < 2 ? words : Math.ceil(words * 1.5);
}

function slotOf(word: number, slotCount: number): number {
  const hash = Math.imul(word ^ (word >>> 15), 0x9e3779b1) >>> 0;
  return Math.floor((hash / 2 ** 32) * slotCount);
}

function stateOf(next: number): number {
  return next < 0 ? ~next : next;
}

function floatsOf({ buffer, byteOffset, length }: Int32Array): Float32Array {
  return new Float32Array(buffer, byteOffset, length);
}
