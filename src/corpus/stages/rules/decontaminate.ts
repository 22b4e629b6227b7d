/**
 * Documents that hold text of evaluation sets: some run of 13 words is in both. Words are compared without case, accents and punctuation.
 * Source: Brown et al. 2020, arXiv:2005.14165 appendix C (13-grams); what counts as a word as in near.ts.
 */
import { comparedWords, eachGram } from '../../dedup/grams.ts';
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
