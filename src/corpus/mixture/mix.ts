/**
 * How much of each source the mixture takes, and where each copy of a document goes.
 *
 *   draw_s = share_s · total        epochs_s = draw_s / available_s        total = min over s of epochs-limit_s · available_s / share_s, if not given
 *
 * Whole epochs take every document; of the last, partial one go in the documents whose `lottery` number is under a threshold, found so that
 * the tokens come out right to one document. Copy e of a document with key k lies in the shard of k + e·φ, so that copies part.
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

const BINS = 1 << 16;

/** The lottery threshold under which lie `wanted` tokens, to one document. Two passes over the documents, memory for one of 65,536 bins. */
export function findThreshold(wanted: number, eachDocument: (visit: (entry: IndexEntry) => void) => void): number {
  if (!(wanted > 0)) return 0;
  const bins = new Float64Array(BINS);
  eachDocument((entry) => (bins[lottery(entry) >>> 16]! += entry.length));
  let bin = 0;
  let below = 0;
  while (bin < BINS && below + bins[bin]! < wanted) below += bins[bin++]!;
  if (bin === BINS) return 2 ** 32;
  const border: { number: number; length: number }[] = [];
  eachDocument((entry) => {
    const number = lottery(entry);
    if (number >>> 16 === bin) border.push({ number, length: entry.length });
  });
  border.sort((a, b) => a.number - b.number);
  for (const { number, length } of border) {
    // The document that reaches over the mark comes in if that is nearer to it.
    if (below + length / 2 > wanted) return number;
    below += length;
  }
  return (bin + 1) * 2 ** 16;
}

/** 2³² divided by the golden ratio. */
const PHI = 0x9e3779b9;

/** High key words of the documents whose copy `copy` belongs to shard `shard`: one or two ranges [from, below). */
export function shardRanges(shard: number, shardCount: number, copy: number): [number, number][] {
  const start = Math.ceil((shard * 2 ** 32) / shardCount);
  const end = Math.ceil(((shard + 1) * 2 ** 32) / shardCount);
  const shift = (copy * PHI) % 2 ** 32;
  const from = (start - shift + 2 ** 32) % 2 ** 32;
  const below = from + (end - start);
  return below <= 2 ** 32
    ? [[from, below]]
    : [
        [0, below - 2 ** 32],
        [from, 2 ** 32],
      ];
}

/** Place of a copy within its shard: looks random, depends only on document and copy. */
export function shuffleRank({ keyHigh, keyLow }: Pick<IndexEntry, 'keyHigh' | 'keyLow'>, copy: number): number {
  let low = Math.imul(keyLow ^ Math.imul(copy + 1, 0x9e3779b1), 0x85ebca6b);
  low = Math.imul(low ^ (low >>> 13) ^ keyHigh, 0xc2b2ae35);
  const high = Math.imul(keyHigh ^ (low >>> 16), 0x27d4eb2f);
  return ((high ^ (high >>> 15)) >>> 11) * 2 ** 32 + ((low ^ (low >>> 16)) >>> 0);
}
