/**
 * A vocabulary made of nothing: the 256 bytes, printable ASCII, and pieces that no text becomes, up to any size. With it a model that
 * was never trained, of any published shape, still encodes and decodes every text (▁ as a space, which
 * SentencePiece writes so).
 */
import type { GgufValue, TokenizerFiles } from '../formats/tokenizer-files.ts';
import { PieceKind } from './vocabulary.ts';

const special = ['<unk>', '<s>', '</s>'] as const;
const BYTES_END = special.length + 256;
/** The bytes and the space, which has a piece of its own. */
export const LEAST_BYTE_VOCABULARY = BYTES_END + 1;

/** As the fields of a GGUF file: SentencePiece BPE with byte fallback and no merges. `size` is at least LEAST_BYTE_VOCABULARY. */
export function byteVocabulary(size: number): TokenizerFiles {
  const pieces: string[] = [...special];
  for (let byte = 0; byte < 256; byte++) pieces.push(`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`);
  const letters = ['▁', ...Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))];
  pieces.push(...letters.slice(0, size - pieces.length));
  while (pieces.length < size) pieces.push(`<unused${pieces.length}>`);
  const kinds = Int32Array.from(pieces, (piece, id) => {
    if (id === 0) return PieceKind.unknown;
    if (id < special.length) return PieceKind.control;
    if (id < BYTES_END) return PieceKind.byte;
    return piece.startsWith('<unused') ? PieceKind.unused : PieceKind.normal;
  });
  const metadata = new Map<string, GgufValue>([
    ['tokenizer.ggml.model', 'llama'],
    ['tokenizer.ggml.pre', 'default'],
    ['tokenizer.ggml.tokens', pieces],
    ['tokenizer.ggml.scores', Float32Array.from(pieces, (_, id) => -id)],
    ['tokenizer.ggml.token_type', kinds],
    ['tokenizer.ggml.bos_token_id', 1],
    ['tokenizer.ggml.eos_token_id', 2],
    ['tokenizer.ggml.unknown_token_id', 0],
    ['tokenizer.ggml.add_bos_token', true],
    ['tokenizer.ggml.add_eos_token', false],
  ]);
  return { kind: 'gguf', file: 'byte vocabulary', metadata };
}
