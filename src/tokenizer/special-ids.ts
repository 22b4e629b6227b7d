/**
 * Which tokens begin and end things. Files name bos and eos; that a turn also ends at `<|eot_id|>` or `<|im_end|>` they often
 * do not say, so the published names of such tokens are one table here (as in llama.cpp, llama-vocab.cpp).
 */
import { badTokenizer, PieceKind, type Vocabulary } from './vocabulary.ts';

const endsOfGeneration: readonly string[] = [
  '<|eot_id|>',
  '<|eom_id|>',
  '<|end_of_text|>',
  '<|im_end|>',
  '<|endoftext|>',
  '<|end|>',
  '<end_of_turn>',
  '<EOT>',
  '<|EOT|>',
  '<｜end▁of▁sentence｜>',
];

/** eos and every control token whose name says that a turn or a text ends there. */
export function endOfGenerationIds(vocabulary: Vocabulary, known: readonly (number | null)[]): number[] {
  const ids = new Set(known.filter((id) => id !== null));
  for (const name of endsOfGeneration) {
    const id = vocabulary.idOfPiece.get(name);
    if (id !== undefined && vocabulary.kinds[id] === PieceKind.control) ids.add(id);
  }
  return [...ids];
}

/** An id that a file names, checked; null for the file's ways to say "none". */
export function checkedId(vocabulary: Vocabulary, where: string, id: unknown): number | null {
  if (id === undefined || id === null || id === -1 || id === 0xffffffff) return null;
  const count = vocabulary.pieces.length;
  if (typeof id === 'number' && Number.isInteger(id) && id >= 0 && id < count) return id;
  throw badTokenizer(vocabulary.file, where, `expected an id from 0 to ${count - 1}, found ${String(id)}`);
}

/** The id of each of the 256 byte pieces (`<0x41>`), or null where the vocabulary has none of them. */
export function byteFallbackIds(vocabulary: Vocabulary): Int32Array | null {
  const ids = Int32Array.from({ length: 256 }, (_, byte) => {
    const name = byte.toString(16).padStart(2, '0');
    return vocabulary.idOfPiece.get(`<0x${name.toUpperCase()}>`) ?? vocabulary.idOfPiece.get(`<0x${name}>`) ?? -1;
  });
  const found = ids.filter((id) => id >= 0).length;
  if (found === 0) return null;
  if (found === 256) return ids;
  throw badTokenizer(vocabulary.file, 'byte pieces', `expected all 256 pieces <0x00> to <0xFF>, found ${found}`);
}
