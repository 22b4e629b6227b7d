/**
 * A tokenizer.model (SentencePiece ModelProto) made of a vocabulary with scores, for folders that transformers reads.
 * Source  sentencepiece_model.proto: the field numbers are its.
 */
import type { TokenizerFiles } from '../../../formats/tokenizer-files.ts';
import { ggufTokenizerFields } from './gguf-tokenizer.ts';

const utf8 = new TextEncoder();

/** null for byte-level BPE, which SentencePiece has no form for. */
export function sentencePieceOf(files: TokenizerFiles, vocabSize: number): Uint8Array | null {
  const fields = ggufTokenizerFields(files, vocabSize);
  const value = (key: string) => fields.get(`tokenizer.ggml.${key}`)?.value;
  const pieces = value('tokens');
  const scores = value('scores');
  const kinds = value('token_type');
  if (value('model') !== 'llama' || !Array.isArray(pieces)) return null;
  if (!(scores instanceof Float32Array && kinds instanceof Int32Array)) return null;

  const unknown = value('unknown_token_id') ?? 0;
  const out: number[] = [];
  for (const [id, piece] of (pieces as readonly string[]).entries()) {
    const message: number[] = [];
    lengthDelimited(message, 1, utf8.encode(piece));
    message.push((2 << 3) | 5, ...new Uint8Array(Float32Array.of(scores[id]!).buffer)); // fixed32
    // GGUF writers call <unk> a control token; SentencePiece needs one piece of kind unknown (2)
    varintField(message, 3, id === unknown ? 2 : kinds[id]!);
    lengthDelimited(out, 1, message);
  }
  const trainer: number[] = [];
  varintField(trainer, 3, 2); // model type BPE
  varintField(trainer, 35, kinds.includes(6) ? 1 : 0); // byte fallback
  for (const [field, key] of [
    [40, 'unknown'],
    [41, 'bos'],
    [42, 'eos'],
    [43, 'padding'],
  ] as const) {
    const id = value(`${key}_token_id`);
    const known = typeof id === 'number' && id < pieces.length;
    varintField(trainer, field, known ? id : key === 'unknown' ? 0 : -1);
  }
  lengthDelimited(out, 2, trainer);
  const normalizer: number[] = [];
  lengthDelimited(normalizer, 1, utf8.encode('identity'));
  varintField(normalizer, 3, value('add_space_prefix') === false ? 0 : 1);
  varintField(normalizer, 4, value('remove_extra_whitespaces') === true ? 1 : 0);
  varintField(normalizer, 5, 1); // spaces are ▁
  lengthDelimited(out, 3, normalizer);
  return Uint8Array.from(out);
}

function lengthDelimited(out: number[], field: number, bytes: ArrayLike<number>): void {
  varint(out, BigInt((field << 3) | 2));
  varint(out, BigInt(bytes.length));
  for (let i = 0; i < bytes.length; i++) out.push(bytes[i]!);
}

function varintField(out: number[], field: number, value: number): void {
  varint(out, BigInt(field << 3));
  varint(out, BigInt.asUintN(64, BigInt(value))); // a negative int32 is written as 64 bits
}

function varint(out: number[], value: bigint): void {
  for (; value >= 128n; value >>= 7n) out.push(Number(value & 127n) | 128);
  out.push(Number(value));
}
