/** holdBack() for texts of any size: which documents, or which of their parts, are kept for training and which are held back. */
import { statSync } from 'node:fs';
import { holdBack } from '../../../../training/data/hold-back.ts';
import type { TextPart } from './texts.ts';

/** One in so many documents is held back: of a large text fewer, as validating takes time and more than this tells nothing new. */
const LEAST = 20;
const HELD_BYTES = 4 * 2 ** 20;

export type Part = 'kept' | 'heldBack';

/** The part of a file's documents. `open` reads the file from its beginning. */
export async function* partOf(path: string, part: Part, open: () => AsyncIterable<TextPart>): AsyncGenerator<TextPart> {
  const oneIn = Math.max(LEAST, Math.round(statSync(path).size / HELD_BYTES));
  const survey = await surveyed(open(), oneIn);
  if (survey === null) yield* everyNth(open(), part, oneIn);
  else yield* ends(open(), part, oneIn, survey);
}

/** The lengths of the parts of each document; null: there are `enough` documents. */
async function surveyed(parts: AsyncIterable<TextPart>, enough: number): Promise<number[][] | null> {
  const documents: number[][] = [];
  let open: number[] = [];
  for await (const { text, isEnd } of parts) {
    open.push(text.length);
    if (!isEnd) continue;
    documents.push(open);
    open = [];
    if (documents.length >= enough) return null;
  }
  return documents;
}

async function* everyNth(parts: AsyncIterable<TextPart>, part: Part, oneIn: number): AsyncGenerator<TextPart> {
  let document = 0;
  for await (const piece of parts) {
    const isHeld = document % oneIn === oneIn - 1;
    if (isHeld === (part === 'heldBack')) yield piece;
    if (piece.isEnd) document++;
  }
}

/** Each document gives its end: of one in a single part as holdBack() cuts it, of a longer one the last parts. */
async function* ends(
  parts: AsyncIterable<TextPart>,
  part: Part,
  oneIn: number,
  survey: readonly (readonly number[])[],
): AsyncGenerator<TextPart> {
  let document = 0;
  let index = 0;
  for await (const piece of parts) {
    const lengths = survey[document]!;
    if (lengths.length === 1) {
      for (const { text, weight } of holdBack([piece], oneIn)[part]) yield { text, weight, isEnd: true };
    } else {
      const cut = firstHeld(lengths, oneIn);
      if (part === 'kept' && index < cut) yield { ...piece, isEnd: index === cut - 1 };
      if (part === 'heldBack' && index >= cut) yield piece;
    }
    index = piece.isEnd ? 0 : index + 1;
    if (piece.isEnd) document++;
  }
}

/** The first part that is held back: there is always one before it, and one. */
function firstHeld(lengths: readonly number[], oneIn: number): number {
  const from = lengths.reduce((a, b) => a + b, 0) * (1 - 1 / oneIn);
  let before = 0;
  const index = lengths.findIndex((length) => {
    before += length;
    return before - length >= from;
  });
  return index < 1 ? lengths.length - 1 : index;
}
