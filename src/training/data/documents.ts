import { FormatError } from '../../base/errors.ts';
import { firstAbove, type TokenShards } from '../../corpus/mixture/shards.ts';
import type { ByteSource } from '../../tensor/source.ts';

/** How often a document is to be seen in an epoch, on average. */
export type WeightOf = (document: number) => number;

/** Documents of tokens, by number. */
export interface Documents {
  readonly name: string;
  readonly count: number;
  readonly tokenCount: number;
  /** null: each once. */
  readonly weightOf: WeightOf | null;
  lengthOf(document: number): number;
  /** The tokens [from, to) of a document; absent: all of it. */
  tokens(document: number, from?: number, to?: number): Uint32Array;
}

/** Of so many documents at a time it is known where they lie: a text may have more of them than memory has room for a number each. */
export const PAGE = 1024;

/** Reads pages, and keeps the last. */
export function pageReader<Page>(read: (page: number) => Page): (page: number) => Page {
  let last = -1;
  let held: Page;
  return (page) => {
    if (page !== last) [held, last] = [read(page), page];
    return held;
  };
}

/** A file of f32, one for each document. A weight is `times` · number / `by`, rounded to f32. */
export interface WeightFile {
  readonly source: ByteSource;
  readonly times: number;
  readonly by: number;
}

/** The documents of token shards. Throws FormatError `tokens.size`, `training.no-documents`, `training.weights`. */
export function shardDocuments(name: string, shards: TokenShards, weights: WeightFile | null = null): Documents {
  const { documentCount: count, tokenCount } = shards;
  if (count === 0) {
    throw new FormatError(
      { code: 'training.no-documents', file: name, where: 'manifest.json' },
      'expected at least one document, found none',
      'Was the text empty, or all of it filtered away?',
    );
  }
  shards.checkSizes();
  const page = pageReader((page) => {
    const bounds = new Float64Array(Math.min(PAGE, count - page * PAGE) + 1);
    shards.readBounds(bounds, page * PAGE);
    return bounds;
  });
  const begin = (document: number) => page(Math.floor(document / PAGE))[document % PAGE]!;
  const lengthOf = (document: number) => page(Math.floor(document / PAGE))[(document % PAGE) + 1]! - begin(document);
  return {
    name,
    count,
    tokenCount,
    weightOf: weights && readWeights(name, count, weights),
    lengthOf,
    tokens(document, from = 0, to = lengthOf(document)) {
      const target = new Uint32Array(to - from);
      if (target.length > 0) shards.read(target, begin(document) + from);
      return target;
    },
  };
}

function readWeights(name: string, count: number, { source, times, by }: WeightFile): WeightOf {
  if (source.byteLength !== 4 * count) {
    throw new FormatError(
      { code: 'training.weights', file: name, where: 'weights.bin' },
      `expected one weight for each of ${count} documents, found ${source.byteLength / 4}`,
      'Make the token shards again.',
    );
  }
  const page = pageReader((page) => {
    const weights = new Float32Array(Math.min(PAGE, count - page * PAGE));
    source.readInto(new Uint8Array(weights.buffer), 4 * page * PAGE);
    return weights.map((weight) => (weight * times) / by);
  });
  return (document) => page(Math.floor(document / PAGE))[document % PAGE]!;
}

/**
 * The same documents with those that are longer than `length` cut into pieces of it, each a document of its own: attention never
 * reaches further, and pieces of one long text come in random order, as documents do. The same object where none is longer.
 */
export function cutDocuments(documents: Documents, length: number): Documents {
  const { name, count, tokenCount, weightOf } = documents;
  const piecesIn = (document: number) => Math.max(1, Math.ceil(documents.lengthOf(document) / length));
  /** The first piece of each page of documents, and the number of all. */
  const first = new Float64Array(Math.ceil(count / PAGE) + 1);
  for (let document = 0; document < count; document++) {
    const page = Math.floor(document / PAGE);
    if (document % PAGE === 0) first[page + 1] = first[page]!;
    first[page + 1]! += piecesIn(document);
  }
  const pieces = first.at(-1)!;
  if (pieces === count) return documents;
  /** The document that was last looked for, and its first piece: whoever goes through all of them looks at each once. */
  let last = { owner: 0, firstPiece: 0 };
  /** The document of a piece, and where in it the piece begins. */
  const placeOf = (piece: number): readonly [owner: number, begin: number] => {
    const page = firstAbove(first, piece) - 1;
    const isBehind = last.firstPiece <= piece && last.firstPiece >= first[page]!;
    let { owner, firstPiece } = isBehind ? last : { owner: page * PAGE, firstPiece: first[page]! };
    for (let own = piecesIn(owner); piece >= firstPiece + own; own = piecesIn(++owner)) firstPiece += own;
    last = { owner, firstPiece };
    return [owner, (piece - firstPiece) * length];
  };
  const endOf = (owner: number, begin: number) => Math.min(begin + length, documents.lengthOf(owner));
  return {
    name,
    count: pieces,
    tokenCount,
    /** Every piece has its document's. */
    weightOf: weightOf && ((piece) => weightOf(placeOf(piece)[0])),
    lengthOf(piece) {
      const [owner, begin] = placeOf(piece);
      return endOf(owner, begin) - begin;
    },
    tokens(piece, from = 0, to) {
      const [owner, begin] = placeOf(piece);
      return documents.tokens(owner, begin + from, to === undefined ? endOf(owner, begin) : begin + to);
    },
  };
}
