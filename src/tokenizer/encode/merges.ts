/**
 * Merge tables from what files hold: SentencePiece has scores (a merge is possible wherever the joined text is a piece,
 * best score first), tokenizer.json and GGUF have an ordered list of pairs, tiktoken has ranks (as scores, over bytes).
 */
import { badTokenizer, MAX_PIECES, PieceKind, show, type Vocabulary } from '../vocabulary.ts';
import { PairTable } from './pair-table.ts';

export const SPACE = '▁';

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
  const symbols = new Map<string, number>();
  for (const [piece, id] of idOfPiece) if (mergeable(id)) symbols.set(piece, id);

  const rankOfScore = rankScores(file, scores);
  const table = new PairTable(pieces.length * 2);
  const looseCharacters: string[] = [];
  let crossesWords = false;
  for (const [id, piece] of pieces.entries()) {
    if (!mergeable(id) || idOfPiece.get(piece) !== id) continue;
    const characters = Array.from(piece);
    if (characters.length > 1) {
      for (const character of characters) {
        if (symbols.has(character)) continue;
        symbols.set(character, pieces.length + looseCharacters.length);
        looseCharacters.push(character);
      }
    }
  }
  for (const [id, piece] of pieces.entries()) {
    if (!mergeable(id) || idOfPiece.get(piece) !== id) continue;
    const rank = rankOfScore.get(scores[id]!)!;
    for (let cut = 1; cut < piece.length; cut++) {
      const unit = piece.charCodeAt(cut);
      if (unit >= 0xdc00 && unit < 0xe000) continue; // inside a surrogate pair
      const left = symbols.get(piece.slice(0, cut));
      if (left === undefined) continue;
      const right = symbols.get(piece.slice(cut));
      if (right === undefined) continue;
      table.add(left, right, rank, id);
      crossesWords ||= crosses(piece.slice(0, cut), piece.slice(cut));
    }
    if (!(table.size <= 8 * MAX_PIECES)) {
      throw badTokenizer(file, `piece ${id}`, `expected at most ${8 * MAX_PIECES} ways to join pieces, found more`);
    }
  }
  return { table, looseCharacters, crossesWords };
}

/** Dense ranks: 0 for the highest score. Equal scores share a rank, so that the leftmost pair wins. */
function rankScores(file: string, scores: ArrayLike<number>): Map<number, number> {
  const distinct = new Set<number>();
  for (let id = 0; id < scores.length; id++) {
    const score = scores[id]!;
    if (Number.isNaN(score)) throw badTokenizer(file, `piece ${id}`, 'expected a score, found NaN');
    distinct.add(score);
  }
  const sorted = Float64Array.from(distinct).sort().reverse();
  return new Map(Array.from(sorted, (score, rank) => [score, rank]));
}
