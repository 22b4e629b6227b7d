/**
 * Documents that hold text of evaluation sets: some run of 13 words is in both. Words are compared without case, accents and punctuation.
 * Source: Brown et al. 2020, arXiv:2005.14165 appendix C (13-grams); what counts as a word as in near.ts.
 */
import { HashMap64 } from '../../dedup/hash-set.ts';
import type { Document } from '../../document.ts';
import type { Drop, Stage } from '../stage.ts';

/** The runs of words of some sets: a hash of each, and the number of the set it is from. */
export interface EvaluationGrams {
  readonly words: number;
  readonly sets: readonly string[];
  readonly hashes: HashMap64;
}

/** More sets share the last number. */
const MOST_SETS = 255;

export class GramCollector {
  readonly words: number;
  readonly sets: string[] = [];
  readonly low: number[] = [];
  readonly high: number[] = [];
  readonly set: number[] = [];
  private readonly seen = new HashMap64(1 << 16);

  constructor(words: number) {
    this.words = words;
  }

  /** The runs of one text of a set. A text of fewer words has none. */
  add(set: string, text: string): void {
    let number = this.sets.indexOf(set);
    if (number < 0) number = this.sets.push(set) - 1;
    eachGram(comparedWords(text), this.words, (low, high) => {
      if (this.seen.get(low, high) !== 0) return;
      this.seen.set(low, high, 1);
      this.low.push(low);
      this.high.push(high);
      this.set.push(Math.min(number, MOST_SETS - 1));
    });
  }

  /** u32 low · u32 high · u32 set, for each run. */
  encode(): Uint8Array {
    const words = new Uint32Array(this.low.length * 3);
    for (let i = 0; i < this.low.length; i++) words.set([this.low[i]!, this.high[i]!, this.set[i]!], i * 3);
    return new Uint8Array(words.buffer);
  }
}

export function readGrams(bytes: Uint8Array, words: number, sets: readonly string[]): EvaluationGrams {
  const values = new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
  const hashes = new HashMap64(values.length / 3);
  for (let i = 0; i < values.length; i += 3) hashes.set(values[i]!, values[i + 1]!, values[i + 2]! + 1);
  return { words, sets, hashes };
}

/** `minimumRuns`: so many of a document's runs must be in the sets. */
export function decontaminate({ words, sets, hashes }: EvaluationGrams, minimumRuns: number): Stage {
  return {
    name: 'decontaminate',
    apply({ text }: Document): Drop | undefined {
      const compared = comparedWords(text);
      let runs = 0;
      let first = -1;
      let set = 0;
      eachGram(compared, words, (low, high, at) => {
        const found = hashes.get(low, high);
        if (found === 0) return;
        if (runs++ === 0) [first, set] = [at, found - 1];
      });
      if (runs === 0 || runs < minimumRuns) return undefined;
      return {
        reason: `text of ${sets[set]}`,
        detail: `${runs} runs of ${words} words, first: ${compared.slice(first, first + words).join(' ')}`,
      };
    },
  };
}

/** Letters and digits in small letters, without accents and apostrophes. */
export function comparedWords(text: string): string[] {
  const plain = text
    .normalize('NFKD')
    .replace(/['’‘`\p{Mn}]/gu, '')
    .toLowerCase();
  return plain.match(/[\p{L}\p{N}]+/gu) ?? [];
}

function eachGram(words: readonly string[], n: number, visit: (low: number, high: number, at: number) => void): void {
  const hashes = Uint32Array.from(words, wordHash);
  for (let i = 0; i + n <= hashes.length; i++) {
    let low = 0x811c9dc5;
    let high = 0x9747b28c;
    for (let k = i; k < i + n; k++) {
      low = Math.imul(low ^ hashes[k]!, 0x01000193) ^ (low >>> 15);
      high = Math.imul(high ^ hashes[k]!, 0x85ebca6b) ^ (high >>> 13);
    }
    low = Math.imul(low ^ (low >>> 16), 0x7feb352d);
    visit((low ^ (low >>> 15)) >>> 0, high >>> 0, i);
  }
}

function wordHash(word: string): number {
  let hash = 2166136261;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 16777619);
  return hash >>> 0;
}
