/**
 * Merge tables from what files hold: SentencePiece has scores (a merge is possible wherever the joined text is a piece,
 * best score first), tokenizer.json and GGUF have an ordered list of pairs, tiktoken has ranks (as scores, over bytes).
 */
import { badTokenizer, MAX_PIECES, PieceKind, show, type Vocabulary } from '../vocabulary.ts';
import { PairTable } from './pair-table.ts';
import { PieceIndex } from './piece-index.ts';

export const SPACE = '▁';

const MAX_PAIRS = 8 * MAX_PIECES;

export interface Merges {
  readonly table: PairTable;
  /** Characters that only occur inside pieces: symbol vocabulary.pieces.length + i is looseCharacters[i]. */
  readonly looseCharacters: readonly string[];
  /** True where some merge joins `…x` and `▁…`, so that a text may not be cut into words before merging. */
  readonly crossesWords: boolean;
}

function crosses(left: string, right: string): boolean {
  return right.startsWith(SPACE) && !left.endsWith(SPACE);
}

/** A merge list, first merges first. Every part and every result must be a piece. */
export function mergesFromList(vocabulary: Vocabulary, pairs: Iterable<readonly [string, string]>): Merges {
  const { file, idOfPiece } = vocabulary;
  const table = new PairTable(vocabulary.pieces.length);
  let rank = 0;
  let crossesWords = false;
  for (const [left, right] of pairs) {
    const leftId = idOfPiece.get(left);
    const rightId = idOfPiece.get(right);
    const merged = idOfPiece.get(left + right);
    if (left === '' || right === '' || leftId === undefined || rightId === undefined || merged === undefined) {
      const missing =
        left === '' || right === '' ? '' : [left, right, left + right].find((piece) => !idOfPiece.has(piece))!;
      throw badTokenizer(
        file,
        `merge ${rank}`,
        `expected ${show(left)} + ${show(right)} to join two pieces into a third, found no piece ${show(missing)}`,
      );
    }
    if (!(rank < MAX_PIECES)) throw badTokenizer(file, 'merges', `expected at most ${MAX_PIECES} merges, found more`);
    table.add(leftId, rightId, rank++, merged);
    crossesWords ||= crosses(left, right);
  }
  return { table, looseCharacters: [], crossesWords };
}

/** Every way to join two symbols into a piece, ranked by the piece's score: the highest score merges first. */
export function mergesFromScores(vocabulary: Vocabulary, scores: ArrayLike<number>): Merges {
  const { file, pieces, kinds, idOfPiece } = vocabulary;
  const mergeable = (id: number) =>
    kinds[id] === PieceKind.normal || kinds[id] === PieceKind.userDefined || kinds[id] === PieceKind.unused;
  const index = new PieceIndex(pieces.length);
  for (const [piece, id] of idOfPiece) if (mergeable(id)) index.add(piece, id);
  const looseCharacters = addLooseCharacters(index, vocabulary, mergeable);

  const ranks = rankScores(file, scores);
  const table = new PairTable(pieces.length * 2);
  const space = SPACE.charCodeAt(0);
  let crossesWords = false;
  for (const [piece, id] of idOfPiece) {
    if (piece.length < 2 || !mergeable(id)) continue;
    index.focus(piece);
    for (let cut = 1; cut < piece.length; cut++) {
      const unit = piece.charCodeAt(cut);
      if (unit >= 0xdc00 && unit < 0xe000) continue; // inside a surrogate pair
      const left = index.find(0, cut);
      if (left === -1) continue;
      const right = index.find(cut, piece.length);
      if (right === -1) continue;
      table.add(left, right, ranks[id]!, id);
      crossesWords ||= unit === space && piece.charCodeAt(cut - 1) !== space;
    }
    if (!(table.size <= MAX_PAIRS)) {
      throw badTokenizer(file, `piece ${id}`, `expected at most ${MAX_PAIRS} ways to join pieces, found more`);
    }
  }
  return { table, looseCharacters, crossesWords };
}

/** Characters inside pieces that are no piece themselves become symbols too, as they can be merged. */
function addLooseCharacters(index: PieceIndex, vocabulary: Vocabulary, mergeable: (id: number) => boolean): string[] {
  const loose = new Set<string>();
  for (const [piece, id] of vocabulary.idOfPiece) {
    if (piece.length < 2 || !mergeable(id)) continue;
    index.focus(piece);
    for (let i = 0; i < piece.length; ) {
      const width = piece.codePointAt(i)! > 0xffff ? 2 : 1;
      if (width < piece.length && index.find(i, i + width) === -1) loose.add(piece.slice(i, i + width));
      i += width;
    }
  }
  for (const [i, character] of [...loose].entries()) index.add(character, vocabulary.pieces.length + i);
  return [...loose];
}

/** Rank of each piece, dense: 0 for the highest score. Equal scores share a rank, so that the leftmost pair wins. */
function rankScores(file: string, scores: ArrayLike<number>): Int32Array {
  const sorted = Float64Array.from(scores).sort();
  if (Number.isNaN(sorted.at(-1) ?? 0)) {
    throw badTokenizer(file, `piece ${Array.from(scores).findIndex(Number.isNaN)}`, 'expected a score, found NaN');
  }
  const rankOf = new Map<number, number>();
  for (let i = sorted.length - 1; i >= 0; i--) if (!rankOf.has(sorted[i]!)) rankOf.set(sorted[i]!, rankOf.size);
  return Int32Array.from(scores, (score) => rankOf.get(score)!);
}
