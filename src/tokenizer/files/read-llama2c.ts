/**
 * llama2.c's `tokenizer.bin`: the longest piece's length (i32), then for each piece its score (f32), length (i32) and bytes, until
 * the end. Spaces stand for `▁`; ids 0, 1, 2 are unknown, bos, eos; bytes are `<0x00>` pieces.
 * Source   karpathy/llama2.c tokenizer.py, export().
 */
import { mergesFromScores, SPACE } from '../encode/merges.ts';
import { MetaspaceModel } from '../encode/metaspace-model.ts';
import { metaspaceNormalizer } from '../encode/normalize.ts';
import { byteFallbackIds } from '../special-ids.ts';
import { controlTokens, Tokenizer } from '../tokenizer.ts';
import { badTokenizer, byteOfPiece, createVocabulary, PieceKind } from '../vocabulary.ts';

export function readLlama2cTokenizer(file: string, bytes: Uint8Array): Tokenizer {
  const { pieces, scores } = readPieces(file, bytes);
  const kinds = Uint8Array.from(pieces, (piece, id) => {
    if (id === 0) return PieceKind.unknown;
    if (id <= 2) return PieceKind.control;
    return byteOfPiece(piece) >= 0 ? PieceKind.byte : PieceKind.normal;
  });
  const vocabulary = createVocabulary(file, pieces, kinds, 'first');
  return new Tokenizer({
    vocabulary,
    model: new MetaspaceModel({
      vocabulary,
      merges: mergesFromScores(vocabulary, scores),
      normalize: metaspaceNormalizer({ prefix: 'always' }),
      words: 'free',
      byteIds: byteFallbackIds(vocabulary),
      unknownId: 0,
      fuseUnknown: true,
      ignoreMerges: false,
    }),
    spelling: { vocabulary, kind: 'metaspace', leadingSpace: 'one', unknownText: ' ⁇ ' },
    addedTokens: controlTokens(vocabulary, [PieceKind.control, PieceKind.unknown]),
    normalizedTokens: [],
    bosId: 1,
    eosId: 2,
    unknownId: 0,
    padId: null,
    eogIds: [2],
    addBos: true,
    addEos: false,
    chatTemplate: null,
  });
}

function readPieces(file: string, bytes: Uint8Array): { pieces: string[]; scores: number[] } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const pieces: string[] = [];
  const scores: number[] = [];
  const fail = (at: number, problem: string) => badTokenizer(file, `byte ${at}`, problem);
  if (!(bytes.length >= 4)) throw fail(0, `expected at least 4 bytes, found ${bytes.length}`);
  const longest = view.getInt32(0, true);
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
  for (let at = 4; at < bytes.length; ) {
    const left = bytes.length - at;
    if (!(left >= 8)) throw fail(at, `expected a score and a length of 8 bytes, found ${left} left`);
    const length = view.getInt32(at + 4, true);
    if (!(length >= 0 && length <= longest && length <= left - 8)) {
      throw fail(at + 4, `expected a piece of at most ${Math.min(longest, left - 8)} bytes, found ${length}`);
    }
    scores.push(view.getFloat32(at, true));
    try {
      const text = utf8.decode(bytes.subarray(at + 8, at + 8 + length));
      // bos and eos are written between newlines, for printing
      pieces.push(pieces.length <= 2 ? text.trim() : text.replaceAll(' ', SPACE));
    } catch {
      throw fail(at + 8, 'expected UTF-8 text, found other bytes');
    }
    at += 8 + length;
  }
  if (!(pieces.length >= 3)) throw fail(bytes.length, `expected at least 3 pieces, found ${pieces.length}`);
  return { pieces, scores };
}
