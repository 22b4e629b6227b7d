import { FormatError } from '../../base/errors.ts';
import { firstAbove, type TokenShards } from '../../corpus/mixture/shards.ts';

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
  const ends = shards.allEnds();
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

/**
 * The same documents with those that are longer than `length` cut into pieces of it, each a document of its own: attention never
 * reaches further, and pieces of one long text come in random order, as documents do. The same object where none is longer.
 */
export function cutDocuments(documents: Documents, length: number): Documents {
  let pieces = 0;
  for (let i = 0; i < documents.count; i++) pieces += piecesOf(documents.lengthOf(i), length);
  if (pieces === documents.count) return documents;
  /** The first piece of each document. A text may have many more pieces than documents: nothing is held for each of them. */
  const first = new Uint32Array(documents.count);
  for (let i = 1; i < documents.count; i++) first[i] = first[i - 1]! + piecesOf(documents.lengthOf(i - 1), length);
  const ownerOf = (piece: number) => firstAbove(first, piece) - 1;
  const begin = (piece: number, owner: number) => (piece - first[owner]!) * length;
  const end = (piece: number, owner: number) => Math.min(begin(piece, owner) + length, documents.lengthOf(owner));
  const { name, tokenCount, weights } = documents;
  return {
    name,
    count: pieces,
    tokenCount,
    weights: weights && piecesWeights(weights, first, pieces),
    lengthOf(piece) {
      const owner = ownerOf(piece);
      return end(piece, owner) - begin(piece, owner);
    },
    tokens(piece, from = 0, to) {
      const owner = ownerOf(piece);
      const at = begin(piece, owner);
      return documents.tokens(owner, at + from, to === undefined ? end(piece, owner) : at + to);
    },
  };
}

/** Every piece has its document's. */
function piecesWeights(weights: Float32Array, first: Uint32Array, pieces: number): Float32Array {
  const own = new Float32Array(pieces);
  for (const [document, weight] of weights.entries()) own.fill(weight, first[document], first[document + 1] ?? pieces);
  return own;
}

function piecesOf(tokens: number, length: number): number {
  return Math.max(1, Math.ceil(tokens / length));
}
