/** How the filters of other projects cut a text into words and lines, and count what repeats. Lengths are in characters (code points), as Python counts. */
import { HashMap64 } from '../../dedup/hash-set.ts';
import { characterCount } from '../../document.ts';

/** What Python's str.splitlines() splits at. */
const lineEnds = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;

/** As Python's str.splitlines(): no line after the last line end. */
export function splitLines(text: string): string[] {
  const lines = text.split(lineEnds);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

const contraction = /^(.+?)(n['’]t|['’](?:s|m|re|ve|ll|d))$/i;
const piece = /\.{2,}|…|[\p{L}\p{N}\p{M}]+(?:[.'’_-][\p{L}\p{N}\p{M}]+)*|[^\s\p{L}\p{N}\p{M}]/gu;

/**
 * Words as treebank tokenizers have them, near enough for shares of words: punctuation marks are words of their own, a hyphen joins, `don't` is two.
 * Source: what NLTK's word_tokenize, which the filters call, does with running text.
 */
export function treebankWords(text: string): readonly string[] {
  if (text === lastText) return lastWords;
  const words: string[] = [];
  for (const word of text.match(piece) ?? []) {
    const parts = word.includes("'") || word.includes('’') ? contraction.exec(word) : null;
    if (parts) words.push(parts[1]!, parts[2]!);
    else words.push(word);
  }
  lastText = text;
  lastWords = words;
  return words;
}

/** Three filters in a row ask for the words of one text. */
let lastText = '';
let lastWords: readonly string[] = [];

const letter = /\p{L}/u;
const onlyPunctuation = /^[\p{P}\p{S}]+$/u;

export function hasLetter(word: string): boolean {
  return isLatinLetter(word.charCodeAt(0)) || letter.test(word);
}

/** Nothing but punctuation marks and symbols. */
export function isPunctuation(word: string): boolean {
  return !isLatinLetter(word.charCodeAt(0)) && onlyPunctuation.test(word);
}

function isLatinLetter(unit: number): boolean {
  return (unit >= 97 && unit <= 122) || (unit >= 65 && unit <= 90);
}

const pieces = /[\p{L}\p{N}\p{M}_]+|[^\p{L}\p{N}\p{M}_\s]+/gu;

/** Runs of letters and digits, and runs of anything else but spaces: NLTK's WordPunctTokenizer. */
export function wordPunctuation(text: string): string[] {
  return text.match(pieces) ?? [];
}

export interface Repeated {
  /** Elements that came before. */
  readonly count: number;
  readonly characters: number;
}

export function repeatedElements(elements: readonly string[]): Repeated {
  const seen = new Set<string>();
  let count = 0;
  let characters = 0;
  for (const element of elements) {
    if (!seen.has(element)) seen.add(element);
    else {
      count++;
      characters += characterCount(element);
    }
  }
  return { count, characters };
}

/** Hashes of runs of words, made from hashes of the text before each word, so that a run costs the same whatever its length. */
export class WordRuns {
  readonly words: number;
  /** Characters before each word, and in all, the spaces among them where there are some. */
  private readonly characters: Uint32Array;
  private readonly units: Uint32Array;
  private readonly low: Uint32Array;
  private readonly high: Uint32Array;
  private readonly lowPowers: Uint32Array;
  private readonly highPowers: Uint32Array;
  private seenHashes: HashMap64 | undefined;
  private hashCounts: HashCounts | undefined;

  /** `separated`: a space after each word, so that `a bc` and `ab c` differ. */
  constructor(words: readonly string[], separated: boolean) {
    const count = words.length;
    this.words = count;
    this.characters = new Uint32Array(count + 1);
    this.units = new Uint32Array(count + 1);
    this.low = new Uint32Array(count + 1);
    this.high = new Uint32Array(count + 1);
    let low = 0;
    let high = 0;
    let units = 0;
    for (let i = 0; i < count; i++) {
      const word = words[i]!;
      const length = word.length + (separated ? 1 : 0);
      for (let k = 0; k < length; k++) {
        const unit = k < word.length ? word.charCodeAt(k) + 1 : 33;
        low = (Math.imul(low, LOW_BASE) + unit) | 0;
        high = (Math.imul(high, HIGH_BASE) + unit) | 0;
      }
      units += length;
      this.units[i + 1] = units;
      this.low[i + 1] = low;
      this.high[i + 1] = high;
      this.characters[i + 1] = this.characters[i]! + characterCount(word) + (separated ? 1 : 0);
    }
    this.lowPowers = powers(LOW_BASE, units);
    this.highPowers = powers(HIGH_BASE, units);
  }

  /** An empty set of hashes, good until it is asked for again. */
  emptySet(): HashMap64 {
    this.seenHashes ??= new HashMap64(this.words);
    this.seenHashes.clear();
    return this.seenHashes;
  }

  /** The same for counts. */
  emptyCounts(): HashCounts {
    this.hashCounts ??= new HashCounts(this.words);
    this.hashCounts.clear();
    return this.hashCounts;
  }

  /** Left by `hash`. */
  lowHash = 0;
  highHash = 0;

  hash(from: number, to: number): void {
    const length = this.units[to]! - this.units[from]!;
    const low = this.low[to]! - Math.imul(this.low[from]!, this.lowPowers[length]!);
    const high = this.high[to]! - Math.imul(this.high[from]!, this.highPowers[length]!);
    this.lowHash = (low ^ (low >>> 15)) >>> 0;
    this.highHash = high >>> 0;
  }

  charactersOf(from: number, to: number): number {
    return this.characters[to]! - this.characters[from]!;
  }
}

const LOW_BASE = 0x01000193;
const HIGH_BASE = 0x85ebca6b;

const knownPowers = new Map<number, Uint32Array>();

/** Powers 0 … `count` at least. */
function powers(base: number, count: number): Uint32Array {
  const known = knownPowers.get(base);
  if (known && known.length > count) return known;
  const result = new Uint32Array(2 * count + 1024);
  let power = 1;
  for (let i = 0; i < result.length; i++) {
    result[i] = power;
    power = Math.imul(power, base);
  }
  knownPowers.set(base, result);
  return result;
}

/** How often each 64-bit hash came, and where it first did. */
class HashCounts {
  /** Where the hash that was added last came first. */
  first = 0;
  private readonly lows: Uint32Array;
  private readonly highs: Uint32Array;
  private readonly counts: Uint32Array;
  private readonly places: Uint32Array;

  /** `most`: different hashes that may come. */
  constructor(most: number) {
    let capacity = 16;
    while (capacity < most * 1.6) capacity *= 2;
    this.lows = new Uint32Array(capacity);
    this.highs = new Uint32Array(capacity);
    this.counts = new Uint32Array(capacity);
    this.places = new Uint32Array(capacity);
  }

  clear(): void {
    this.counts.fill(0);
  }

  /** Returns the count with this one. */
  add(low: number, high: number, place: number): number {
    const { lows, highs, counts, places } = this;
    const mask = lows.length - 1;
    let slot = (low ^ (high >>> 7)) & mask;
    while (counts[slot] !== 0 && (lows[slot] !== low || highs[slot] !== high)) slot = (slot + 1) & mask;
    if (counts[slot] === 0) {
      lows[slot] = low;
      highs[slot] = high;
      places[slot] = place;
    }
    this.first = places[slot]!;
    return ++counts[slot]!;
  }
}

/** Characters of the most frequent run of n words, with the spaces between them, all its appearances together; of several the first. 0 for a text that is too short. */
export function topGramCharacters(runs: WordRuns, n: number): number {
  const counts = runs.emptyCounts();
  let most = 0;
  let first = 0;
  for (let i = 0; i + n <= runs.words; i++) {
    runs.hash(i, i + n);
    const count = counts.add(runs.lowHash, runs.highHash, i);
    if (count > most || (count === most && counts.first < first)) {
      most = count;
      first = counts.first;
    }
  }
  return most === 0 ? 0 : (runs.charactersOf(first, first + n) - 1) * most;
}

/** Characters of runs of n words that came before; after one, the search goes on behind it, so that none is counted twice. */
export function repeatedGramCharacters(runs: WordRuns, n: number): number {
  const seen = runs.emptySet();
  let characters = 0;
  for (let i = 0; i + n <= runs.words; ) {
    runs.hash(i, i + n);
    if (seen.get(runs.lowHash, runs.highHash) !== 0) {
      characters += runs.charactersOf(i, i + n);
      i += n;
    } else {
      seen.set(runs.lowHash, runs.highHash, 1);
      i++;
    }
  }
  return characters;
}
