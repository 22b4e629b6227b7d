/**
 * MinHash with bands: two texts meet where all `rows` minima of one of their `bands` agree, which texts of Jaccard similarity s do with probability
 *
 *   1 − (1 − s^rows)^bands
 *
 * The shingles are runs of `words` words. Source: Broder 1997; Leskovec, Rajaraman, Ullman, Mining of Massive Datasets §3.4.
 */
import { comparedWords, eachGram } from '../grams.ts';

export interface Bands {
  readonly bands: number;
  readonly rows: number;
  readonly words: number;
}

/** FineWeb's (arXiv:2406.17557 §3.4), which is datatrove's default, and RedPajama-V2's for similarities of 0.7, 0.8 and 0.9 (arXiv:2411.12372). */
export const bandPresets = {
  fineweb: { bands: 14, rows: 8, words: 5 },
  'redpajama-0.7': { bands: 14, rows: 9, words: 13 },
  'redpajama-0.8': { bands: 9, rows: 13, words: 13 },
  'redpajama-0.9': { bands: 5, rows: 25, words: 13 },
} as const satisfies Record<string, Bands>;

/** Makes the 64-bit hash of each band of a text. Reuses its memory: one text at a time. */
export class BandHasher {
  readonly low: Uint32Array;
  readonly high: Uint32Array;
  private readonly shape: Bands;
  private readonly minima: Uint32Array;
  private readonly seeds: Uint32Array;

  constructor(shape: Bands) {
    this.shape = shape;
    const count = shape.bands * shape.rows;
    this.minima = new Uint32Array(count);
    this.seeds = Uint32Array.from({ length: count }, (_, i) => mix(Math.imul(i + 1, 0x9e3779b1)));
    this.low = new Uint32Array(shape.bands);
    this.high = new Uint32Array(shape.bands);
  }

  /** Fills `low` and `high`; false for a text without words, which is like no other. Cost: bands · rows operations a word. */
  hash(text: string): boolean {
    const { minima, seeds } = this;
    const { bands, rows, words } = this.shape;
    const found = comparedWords(text);
    if (found.length === 0) return false;
    minima.fill(0xffffffff);
    eachGram(found, Math.min(words, found.length), (low, high) => {
      const shingle = low ^ Math.imul(high, 0x9e3779b1);
      for (let i = 0; i < minima.length; i++) {
        let value = Math.imul(shingle ^ seeds[i]!, 0x85ebca6b);
        value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
        value = (value ^ (value >>> 16)) >>> 0;
        if (value < minima[i]!) minima[i] = value;
      }
    });
    for (let band = 0; band < bands; band++) {
      let low = mix(band + 1);
      let high = mix(band + 0x51ed270b);
      for (let row = 0; row < rows; row++) {
        const value = minima[band * rows + row]!;
        low = mix(Math.imul(low ^ value, 0x01000193));
        high = mix(Math.imul(high ^ value, 0x85ebca6b) + row);
      }
      this.low[band] = low;
      this.high[band] = high;
    }
    return true;
  }
}

function mix(value: number): number {
  let hash = Math.imul(value ^ (value >>> 16), 0x7feb352d);
  hash = Math.imul(hash ^ (hash >>> 15), 0x846ca68b);
  return (hash ^ (hash >>> 16)) >>> 0;
}
