/**
 * The pieces of a tokenizer: text and kind of every id, checked once when the file is read. Algorithms (merges, splitting)
 * live elsewhere; this is the table that they and the decoder share.
 */
import { FormatError } from '../base/errors.ts';

/** SentencePiece's kinds of pieces, with the numbers of sentencepiece_model.proto and of GGUF's token_type. */
export const PieceKind = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;
export type PieceKind = (typeof PieceKind)[keyof typeof PieceKind];

/** More pieces than any published vocabulary by a factor of ten; a file that claims more is refused before it costs memory. */
export const MAX_PIECES = 1 << 22;

export interface Vocabulary {
  /** File name, for messages. */
  readonly file: string;
  /** Text of each id as its file spells it: `▁the` in SentencePiece, `Ġthe` in byte-level BPE. */
  readonly pieces: readonly string[];
  readonly kinds: Uint8Array;
  readonly idOfPiece: ReadonlyMap<string, number>;
}

/** Builds the table. A piece that occurs twice keeps its first id when `duplicates` is 'first' (GGUF pads so), else is refused. */
export function createVocabulary(
  file: string,
  pieces: readonly string[],
  kinds: Uint8Array,
  duplicates: 'refuse' | 'first',
): Vocabulary {
  if (!(pieces.length >= 1 && pieces.length <= MAX_PIECES)) {
    throw badTokenizer(file, 'vocabulary', `expected 1 to ${MAX_PIECES} pieces, found ${pieces.length}`);
  }
  const idOfPiece = new Map<string, number>();
  for (const [id, piece] of pieces.entries()) {
    const gap = piece === '' && kinds[id] === PieceKind.unused;
    if (gap) continue; // an id that its file leaves out
    if (!idOfPiece.has(piece)) {
      idOfPiece.set(piece, id);
    } else if (duplicates === 'refuse') {
      const first = idOfPiece.get(piece);
      throw badTokenizer(file, `piece ${id}`, `expected distinct pieces, found ${show(piece)} also as piece ${first}`);
    }
    const kind = kinds[id]!;
    if (!(kind >= PieceKind.normal && kind <= PieceKind.byte)) {
      throw badTokenizer(file, `piece ${id}`, `expected a kind from 1 to 6, found ${kind}`);
    }
  }
  return { file, pieces, kinds, idOfPiece };
}

/** The byte that a `<0x41>` piece stands for, or −1. */
export function byteOfPiece(piece: string): number {
  const digits = /^<0x([0-9A-Fa-f]{2})>$/.exec(piece);
  return digits === null ? -1 : Number.parseInt(digits[1]!, 16);
}

/** A FormatError of a tokenizer file, with the one piece of advice that such files allow. */
export function badTokenizer(file: string, where: string, problem: string, advice?: string): FormatError {
  return new FormatError(
    { code: 'tokenizer.invalid', file, where },
    problem,
    advice ?? 'The file is damaged or not a tokenizer of a kind that Cria knows; fetch it again from its source.',
  );
}

/** A piece for an error message: quoted, cut short. */
export function show(text: string): string {
  return JSON.stringify(text.length > 40 ? `${text.slice(0, 40)}…` : text);
}
