import { FormatError } from '../../base/errors.ts';
import type { TokenShards } from '../../corpus/mixture/shards.ts';

/** Documents of tokens, by number. */
export interface Documents {
  readonly name: string;
  readonly count: number;
  readonly tokenCount: number;
  /** How often each document is to be seen in an epoch, on average; null: once. */
  readonly weights: Float32Array | null;
  lengthOf(document: number): number;
  /** The tokens [from, to) of a document; absent: all of it. */
  tokens(document: number, from?: number, to?: number): Uint32Array;
}

/** The documents of token shards. */
export function shardDocuments(name: string, shards: TokenShards, weights: Float32Array | null = null): Documents {
  const ends = allEnds(shards);
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
  const begin = (document: number) => (document === 0 ? 0 : ends[document - 1]!);
  return {
    name,
    count,
    tokenCount: shards.tokenCount,
    weights,
    lengthOf: (document) => ends[document]! - begin(document),
    tokens(document, from = 0, to = ends[document]! - begin(document)) {
      const target = new Uint32Array(to - from);
      if (target.length > 0) shards.read(target, begin(document) + from);
      return target;
    },
  };
}

/** A window's worth of ends is held as numbers at a time. */
const WINDOW_TOKENS = 1 << 24;

function allEnds(shards: TokenShards): Float64Array | Uint32Array {
  const { tokenCount, manifest } = shards;
  const { documentCount } = manifest;
  const ends = tokenCount < 2 ** 32 ? new Uint32Array(documentCount) : new Float64Array(documentCount);
  let count = 0;
  for (let from = 0; from < tokenCount; from += WINDOW_TOKENS) {
    const found = shards.documentEnds(from, Math.min(tokenCount, from + WINDOW_TOKENS));
    ends.set(found.slice(0, documentCount - count), count);
    count = Math.min(documentCount, count + found.length);
  }
  return ends.subarray(0, count);
}

/**
 * The same documents with those that are longer than `length` cut into pieces of it, each a document of its own: attention never
 * reaches further, and pieces of one long text come in random order, as documents do. The same object where none is longer.
 */
export function cutDocuments(documents: Documents, length: number): Documents {
  let pieces = 0;
  for (let i = 0; i < documents.count; i++) pieces += piecesOf(documents.lengthOf(i), length);
  if (pieces === documents.count) return documents;
  /** Of each piece its document, and of each document its first piece. */
  const owner = new Uint32Array(pieces);
  const first = new Uint32Array(documents.count);
  let at = 0;
  for (let i = 0; i < documents.count; i++) {
    first[i] = at;
    const count = piecesOf(documents.lengthOf(i), length);
    owner.fill(i, at, at + count);
    at += count;
  }
  const begin = (piece: number) => (piece - first[owner[piece]!]!) * length;
  const end = (piece: number) => Math.min(begin(piece) + length, documents.lengthOf(owner[piece]!));
  const { name, tokenCount, weights } = documents;
  return {
    name,
    count: pieces,
    tokenCount,
    weights: weights && Float32Array.from(owner, (document) => weights[document]!),
    lengthOf: (piece) => end(piece) - begin(piece),
    tokens: (piece, from = 0, to = end(piece) - begin(piece)) =>
      documents.tokens(owner[piece]!, begin(piece) + from, begin(piece) + to),
  };
}

function piecesOf(tokens: number, length: number): number {
  return Math.max(1, Math.ceil(tokens / length));
}
