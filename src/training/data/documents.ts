import { FormatError } from '../../base/errors.ts';
import type { TokenShards } from '../../corpus/mixture/shards.ts';

/** Documents of tokens, by number. */
export interface Documents {
  readonly name: string;
  readonly count: number;
  readonly tokenCount: number;
  /** How often each document is to be seen in an epoch, on average; null: once. */
  readonly weights: Float32Array | null;
  tokens(document: number): Uint32Array;
}

/** The documents of token shards. */
export function shardDocuments(name: string, shards: TokenShards, weights: Float32Array | null = null): Documents {
  const ends = shards.documentEnds(0, shards.tokenCount);
  const count = ends.length;
  if (count === 0) {
    throw new FormatError(
      { code: 'training.no-documents', file: name, where: 'manifest.json' },
      'expected at least one document, found none',
      'Was the text empty, or all of it filtered away?',
    );
  }
  if (weights && weights.length !== count) {
    throw new FormatError(
      { code: 'training.weights', file: name, where: 'weights.bin' },
      `expected one weight for each of ${count} documents, found ${weights.length}`,
      'Make the token shards again.',
    );
  }
  return {
    name,
    count,
    tokenCount: shards.tokenCount,
    weights,
    tokens(document) {
      const from = document === 0 ? 0 : ends[document - 1]!;
      const target = new Uint32Array(ends[document]! - from);
      if (target.length > 0) shards.read(target, from);
      return target;
    },
  };
}
