/**
 * How much of each source the mixture takes, and where each copy of a document goes.
 *
 *   draw_s = share_s · total        epochs_s = draw_s / available_s        total = min over s of epochs-limit_s · available_s / share_s, if not given
 *
 * Whole epochs take every document; of the last, partial one go in the documents whose `lottery` number is under a threshold, found from
 * histograms of the units. Copy e of a document with key k lies in the shard of k + e·φ, so that copies part.
 * Source: LLaMA, arXiv:2302.13971 Table 1 for the shares.
 */
import { ConfigError } from '../../base/errors.ts';
import type { IndexEntry } from './token-index.ts';

export interface SourceSupply {
  readonly name: string;
  readonly weight: number;
  /** The recipe's epochs: the number of passes (natural) or their limit (weights). */
  readonly epochs: number;
  readonly tokens: number;
}

export interface SourceDraw {
  /** Passes over everything. */
  readonly whole: number;
  /** Of the next pass, documents with a lottery number below this; 0 takes none. */
  readonly threshold: number;
}

/** Epochs per source, fractions included. Throws ConfigError `mixture.*` when the shares cannot be had. */
export function planEpochs(
  sources: readonly SourceSupply[],
  mixture: 'weights' | 'natural',
  total: number | undefined,
): Record<string, number> {
  if (mixture === 'natural') return Object.fromEntries(sources.map(({ name, epochs }) => [name, epochs]));
  const wanted = sources.filter(({ weight, epochs }) => weight > 0 && (epochs > 0 || total !== undefined));
  const empty = wanted.filter(({ tokens }) => tokens === 0).map(({ name }) => `${name} has a share but no tokens`);
  if (empty.length > 0 || wanted.length === 0) {
    throw new ConfigError(
      'mixture',
      wanted.length === 0 ? ['no source has a share'] : [...empty, 'give those sources weight 0, or more data'],
      'mixture.empty',
    );
  }
  const sum = wanted.reduce((weights, { weight }) => weights + weight, 0);
  const longest = Math.min(...wanted.map(({ weight, epochs, tokens }) => (epochs * tokens * sum) / weight));
  return Object.fromEntries(
    sources.map(({ name, weight, tokens }) => [
      name,
      tokens === 0 ? 0 : ((weight / sum) * (total ?? longest)) / tokens,
    ]),
  );
}

/** Lottery number of a document: where it stands in the queue for the partial epoch. */
export function lottery({ keyLow, keyHigh }: Pick<IndexEntry, 'keyLow' | 'keyHigh'>): number {
  let hash = Math.imul(keyLow ^ 0x5bd1e995, 0x85ebca6b) ^ keyHigh;
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return (hash ^ (hash >>> 12)) >>> 0;
}

const BIN_BITS = 16;
const BINS = 1 << BIN_BITS;
const PAIR_WORDS = 3;

/** Tokens by lottery number, in bins: what a unit tells the mixture of its documents. */
export class LotteryHistogram {
  readonly bins = new Float64Array(BINS);

  add(entry: Pick<IndexEntry, 'keyLow' | 'keyHigh' | 'length'>): void {
    this.bins[lottery(entry) >>> (32 - BIN_BITS)]! += entry.length;
  }

  /** u32 bin · u32 tokens low · u32 tokens high for each bin that holds some. */
  encode(): Uint8Array {
    const words: number[] = [];
    for (const [bin, tokens] of this.bins.entries()) {
      if (tokens > 0) words.push(bin, tokens >>> 0, Math.floor(tokens / 2 ** 32));
    }
    return new Uint8Array(Uint32Array.from(words).buffer);
  }

  /** += what `encode` wrote. */
  addEncoded(words: Uint32Array): void {
    for (let i = 0; i < words.length; i += PAIR_WORDS) this.bins[words[i]!]! += words[i + 1]! + words[i + 2]! * 2 ** 32;
  }

  /**
   * The lottery number under which lie `wanted` tokens, to the nearer edge of a bin: within one document of a small corpus, within 1/65,536 of a large one.
   */
  threshold(wanted: number): number {
    if (!(wanted > 0)) return 0;
    let below = 0;
    for (const [bin, tokens] of this.bins.entries()) {
      if (below + tokens / 2 > wanted) return bin * 2 ** (32 - BIN_BITS);
      below += tokens;
    }
    return 2 ** 32;
  }
}

/** 2³² divided by the golden ratio. */
const PHI = 0x9e3779b9;

/** High key words of the documents whose copy `copy` belongs to shards [first, end): one or two ranges [from, below). */
export function keyRanges(first: number, end: number, shardCount: number, copy: number): [number, number][] {
  const start = Math.ceil((first * 2 ** 32) / shardCount);
  const length = Math.ceil((end * 2 ** 32) / shardCount) - start;
  const from = (start - shiftOf(copy) + 2 ** 32) % 2 ** 32;
  const below = from + length;
  return below <= 2 ** 32
    ? [[from, below]]
    : [
        [0, below - 2 ** 32],
        [from, 2 ** 32],
      ];
}

/** The shard in which copy `copy` of a document with this high key word lies. */
export function shardOfKey(keyHigh: number, shardCount: number, copy: number): number {
  return Math.floor((((keyHigh + shiftOf(copy)) % 2 ** 32) * shardCount) / 2 ** 32);
}

function shiftOf(copy: number): number {
  return (copy * PHI) % 2 ** 32;
}

/** Place of a copy within its shard: looks random, depends only on document and copy. */
export function shuffleRank({ keyHigh, keyLow }: Pick<IndexEntry, 'keyHigh' | 'keyLow'>, copy: number): number {
  let low = Math.imul(keyLow ^ Math.imul(copy + 1, 0x9e3779b1), 0x85ebca6b);
  low = Math.imul(low ^ (low >>> 13) ^ keyHigh, 0xc2b2ae35);
  const high = Math.imul(keyHigh ^ (low >>> 16), 0x27d4eb2f);
  return ((high ^ (high >>> 15)) >>> 11) * 2 ** 32 + ((low ^ (low >>> 16)) >>> 0);
}
