/**
 * `tokenizer.model`: a trained vocabulary as a SentencePiece ModelProto with LLaMA's settings in it, readable by sentencepiece.
 * Source   sentencepiece_model.proto (field numbers).
 */
import type { TrainedPiece, TrainedSentencePiece } from './sentencepiece-trainer.ts';

export function writeSentencePieceModel(trained: TrainedSentencePiece): Uint8Array {
  const out = new Message();
  for (const piece of trained.pieces) out.message(1, pieceMessage(piece));
  const { vocabSize, characterCoverage, maxSentenceBytes, maxPieceLength } = trained.options;
  const trainer = new Message()
    .varint(3, trained.modelType === 'bpe' ? 2 : 1) // model_type
    .varint(4, vocabSize)
    .text(7, 'text')
    .float(10, characterCoverage)
    .varint(18, maxSentenceBytes)
    .varint(20, maxPieceLength)
    .varint(21, 1) // split_by_unicode_script
    .varint(22, 1) // split_by_whitespace
    .varint(23, 1) // split_by_number
    .varint(24, 0) // treat_whitespace_as_suffix
    .varint(25, 1) // split_digits
    .varint(26, 1) // allow_whitespace_only_pieces
    .varint(32, 1) // vocabulary_output_piece_score
    .varint(33, 1) // hard_vocab_limit
    .varint(35, 1) // byte_fallback
    .varint(40, 0) // unk, bos, eos
    .varint(41, 1)
    .varint(42, 2)
    .minusOne(43) // pad_id
    .text(44, ' ⁇ ')
    .text(45, '<unk>')
    .text(46, '<s>')
    .text(47, '</s>')
    .text(48, '<pad>');
  const normalizer = new Message()
    .text(1, 'identity')
    .text(2, '')
    .varint(3, 1) // add_dummy_prefix
    .varint(4, 0) // remove_extra_whitespaces
    .varint(5, 1); // escape_whitespaces
  return out.message(2, trainer).message(3, normalizer).take();
}

function pieceMessage({ piece, score, kind }: TrainedPiece): Message {
  return new Message().text(1, piece).float(2, score).varint(3, kind);
}

/** A protobuf message being written. */
class Message {
  private bytes = new Uint8Array(64);
  private length = 0;

  varint(field: number, value: number): this {
    this.number(field * 8);
    this.number(value);
    return this;
  }

  /** −1 as an int32: ten bytes, as sign-extended to 64 bits. */
  minusOne(field: number): this {
    this.number(field * 8);
    this.raw(Uint8Array.of(255, 255, 255, 255, 255, 255, 255, 255, 255, 1));
    return this;
  }

  float(field: number, value: number): this {
    this.number(field * 8 + 5);
    const four = new DataView(new ArrayBuffer(4));
    four.setFloat32(0, value, true);
    this.raw(new Uint8Array(four.buffer));
    return this;
  }

  text(field: number, value: string): this {
    return this.field(field, new TextEncoder().encode(value));
  }

  message(field: number, value: Message): this {
    return this.field(field, value.take());
  }

  take(): Uint8Array {
    return this.bytes.slice(0, this.length);
  }

  private field(field: number, value: Uint8Array): this {
    this.number(field * 8 + 2);
    this.number(value.length);
    this.raw(value);
    return this;
  }

  private number(value: number): void {
    for (; value >= 0x80; value = Math.floor(value / 128)) this.raw(Uint8Array.of((value % 128) | 0x80));
    this.raw(Uint8Array.of(value));
  }

  private raw(bytes: Uint8Array): void {
    const wanted = this.length + bytes.length;
    if (wanted > this.bytes.length) {
      const grown = new Uint8Array(Math.max(wanted, this.bytes.length * 2));
      grown.set(this.bytes);
      this.bytes = grown;
    }
    this.bytes.set(bytes, this.length);
    this.length = wanted;
  }
}
