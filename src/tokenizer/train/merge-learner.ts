/**
 * The heart of BPE training: words as rows of symbols, and again and again the most frequent neighbouring pair becomes a new
 * symbol. Counts are kept up to date at the places that a merge touches, a lazy heap finds the next best, so the cost is that
 * of the touched places and not of the corpus per merge.
 * Source   Sennrich et al. 2016, arXiv:1508.07909 §3.2; ties and repeats as the caller's rules say.
 */
import { assert } from '../../base/assert.ts';
import { PairTable } from '../encode/pair-table.ts';
import { PairHeap } from './pair-heap.ts';

export interface LearnerRules {
  /** Whether two symbols may merge, by their texts. */
  readonly mayMerge: (left: string, right: string) => boolean;
  /** Of two pairs that are equally frequent: whether the first goes first. */
  readonly goesFirst: (left1: string, right1: string, left2: string, right2: string) => boolean;
  /** Whether a merge whose text is already a symbol gives that symbol (byte-level BPE) or one of its own (sentencepiece). */
  readonly sameText: 'same-symbol' | 'new-symbol';
  /** Symbols that never merge (rare characters). */
  readonly isFrozen: (text: string) => boolean;
}

export interface LearnedMerge {
  readonly left: string;
  readonly right: string;
  readonly count: number;
}

interface Pair {
  readonly left: number;
  readonly right: number;
  count: number;
  /** Where it was seen, by the left symbol's place; some may be outdated. */
  places: number[];
}

const INVALID = -2;
const END = -1;

export class MergeLearner {
  private readonly rules: LearnerRules;
  private readonly texts: string[] = [];
  private readonly symbolOfText = new Map<string, number>();
  private readonly frozen: boolean[] = [];
  /** Per place: its symbol (−1 once merged away), its neighbours, the index of its word. */
  private readonly symbol: Int32Array;
  private readonly next: Int32Array;
  private readonly previous: Int32Array;
  private readonly wordOf: Int32Array;
  private readonly wordCounts: Float64Array;
  private readonly pairIds = new PairTable(1 << 12);
  private readonly pairs: Pair[] = [];
  private readonly heap: PairHeap;
  private readonly touched = new Set<number>();

  /** `words`: distinct words with their counts; `split` gives a word's first symbols. */
  constructor(words: ReadonlyMap<string, number>, split: (word: string) => readonly string[], rules: LearnerRules) {
    this.rules = rules;
    this.heap = new PairHeap((a, b) => this.pairGoesFirst(a, b));
    let placeCount = 0;
    for (const word of words.keys()) placeCount += split(word).length;
    this.symbol = new Int32Array(placeCount);
    this.next = new Int32Array(placeCount);
    this.previous = new Int32Array(placeCount);
    this.wordOf = new Int32Array(placeCount);
    this.wordCounts = Float64Array.from(words.values());

    let place = 0;
    let index = 0;
    for (const word of words.keys()) {
      const first = place;
      for (const text of split(word)) {
        this.symbol[place] = this.symbolFor(text);
        this.wordOf[place] = index;
        this.previous[place] = place > first ? place - 1 : END;
        this.next[place] = place + 1;
        place++;
      }
      if (place > first) this.next[place - 1] = END;
      index++;
    }
    for (let left = 0; left < placeCount; left++) this.addPair(left, this.next[left]!);
    this.settle();
  }

  /** The most frequent pair, not merged yet; null when none is left. It is not offered again. */
  takeBest(): (LearnedMerge & { readonly id: number }) | null {
    for (;;) {
      const top = this.heap.pop();
      if (top === null) return null;
      const { id, count } = top;
      const pair = this.pairs[id]!;
      if (pair.count <= 0) continue;
      if (pair.count !== count) {
        this.heap.push(id, pair.count); // it was offered with an older count
        continue;
      }
      return { id, left: this.texts[pair.left]!, right: this.texts[pair.right]!, count };
    }
  }

  /** Makes the pair a symbol wherever it stands. */
  merge(id: number): void {
    const { left, right, places } = this.pairs[id]!;
    const merged = this.symbolFor(this.texts[left]! + this.texts[right]!, this.rules.sameText === 'new-symbol');
    const { symbol, next, previous } = this;
    this.pairs[id]!.places = [];
    this.pairs[id]!.count = 0;
    places.sort((a, b) => a - b);
    for (const place of places) {
      const second = next[place]!;
      if (symbol[place] !== left || second === END || symbol[second] !== right) continue;
      const before = previous[place]!;
      const after = next[second]!;
      this.removePair(before, place, id);
      this.removePair(second, after, id);
      symbol[place] = merged;
      symbol[second] = -1;
      next[place] = after;
      if (after !== END) previous[after] = place;
      this.addPair(before, place);
      this.addPair(place, after);
    }
    this.settle();
  }

  private symbolFor(text: string, isNew = false): number {
    const known = isNew ? undefined : this.symbolOfText.get(text);
    if (known !== undefined) return known;
    const symbol = this.texts.length;
    this.texts.push(text);
    this.frozen.push(this.rules.isFrozen(text));
    if (!isNew) this.symbolOfText.set(text, symbol);
    return symbol;
  }

  private pairAt(left: number, right: number): number {
    if (left === END || right === END) return INVALID;
    const a = this.symbol[left]!;
    const b = this.symbol[right]!;
    if (this.frozen[a] || this.frozen[b]) return INVALID;
    const found = this.pairIds.find(a, b);
    if (found !== -1) return this.pairIds.rankAt(found);
    const id = this.rules.mayMerge(this.texts[a]!, this.texts[b]!) ? this.pairs.length : INVALID;
    this.pairIds.add(a, b, id, 0);
    if (id !== INVALID) this.pairs.push({ left: a, right: b, count: 0, places: [] });
    return id;
  }

  private addPair(left: number, right: number): void {
    const id = this.pairAt(left, right);
    if (id === INVALID) return;
    const pair = this.pairs[id]!;
    pair.count += this.wordCounts[this.wordOf[left]!]!;
    pair.places.push(left);
    this.touched.add(id);
  }

  private removePair(left: number, right: number, merging: number): void {
    const id = this.pairAt(left, right);
    if (id === INVALID || id === merging) return; // the merging pair's count is zero already
    const pair = this.pairs[id]!;
    pair.count -= this.wordCounts[this.wordOf[left]!]!;
    assert(pair.count >= 0, 'merge learner: a pair is counted less than never');
  }

  /** Offers the pairs that a merge has made, with their counts. */
  private settle(): void {
    for (const id of this.touched) {
      const pair = this.pairs[id]!;
      if (pair.count > 0) this.heap.push(id, pair.count);
    }
    this.touched.clear();
  }

  private pairGoesFirst(first: number, second: number): boolean {
    const a = this.pairs[first]!;
    const b = this.pairs[second]!;
    return this.rules.goesFirst(this.texts[a.left]!, this.texts[a.right]!, this.texts[b.left]!, this.texts[b.right]!);
  }
}
