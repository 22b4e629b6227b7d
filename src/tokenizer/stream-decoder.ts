/**
 * Ids to text, one id at a time, never half a character: bytes wait until their UTF-8 sequence is whole or known to be
 * broken. decode(ids) is this decoder run to its end, so streaming and decoding at once cannot disagree.
 */

import { lettersToBytes } from './byte-alphabet.ts';
import { SPACE } from './encode/merges.ts';
import { byteOfPiece, PieceKind, type Vocabulary } from './vocabulary.ts';

export interface StreamDecoder {
  /** The text that `id` completes; empty while a character is unfinished. */
  push(id: number): string;
  /** What is left at the end; a broken character becomes U+FFFD. */
  flush(): string;
}

/** How pieces spell text. */
export interface Spelling {
  readonly vocabulary: Vocabulary;
  readonly kind: 'metaspace' | 'byte-level';
  /** One leading space goes, as encoding put it there (metaspace); 'all' where encoding collapses spaces. */
  readonly leadingSpace: 'keep' | 'one' | 'all';
  /** Text of the unknown piece. */
  readonly unknownText: string;
}

/** `special`: control tokens are left out, or appear as their piece. */
export function createStreamDecoder(spelling: Spelling, texts: ByteTexts, special: 'skip' | 'text'): StreamDecoder {
  return spelling.kind === 'byte-level'
    ? new ByteLevelDecoder(spelling.vocabulary, texts, special)
    : new MetaspaceDecoder(spelling, special);
}

/** What each byte-level piece spells, worked out once: its text where it is whole characters, else its bytes. */
export class ByteTexts {
  private readonly vocabulary: Vocabulary;
  private readonly spelled: (string | Uint8Array | undefined)[] = [];

  constructor(vocabulary: Vocabulary) {
    this.vocabulary = vocabulary;
  }

  of(id: number): string | Uint8Array {
    return (this.spelled[id] ??= this.spell(id));
  }

  private spell(id: number): string | Uint8Array {
    const piece = this.vocabulary.pieces[id]!;
    const bytes = this.vocabulary.kinds[id] === PieceKind.userDefined ? null : lettersToBytes(piece);
    if (bytes === null) return piece;
    try {
      return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return bytes;
    }
  }
}

/** Bytes of all pieces joined are UTF-8; what is broken becomes U+FFFD as the Encoding Standard (and Python, Rust) has it. */
class ByteLevelDecoder implements StreamDecoder {
  private readonly vocabulary: Vocabulary;
  private readonly texts: ByteTexts;
  private readonly special: 'skip' | 'text';
  private readonly utf8 = new TextDecoder('utf-8', { ignoreBOM: true });
  private unfinished = false;

  constructor(vocabulary: Vocabulary, texts: ByteTexts, special: 'skip' | 'text') {
    this.vocabulary = vocabulary;
    this.texts = texts;
    this.special = special;
  }

  push(id: number): string {
    const kind = this.vocabulary.kinds[id];
    // Unused pieces fill a vocabulary up ([PAD699] in GGUF files); llama.cpp gives them no text either.
    const isControl = kind === PieceKind.control || kind === PieceKind.unknown || kind === PieceKind.unused;
    if (isControl && this.special === 'skip') return '';
    const spelled = isControl ? this.vocabulary.pieces[id]! : this.texts.of(id);
    if (typeof spelled === 'string') return this.unfinished ? this.flush() + spelled : spelled;
    this.unfinished = true;
    return this.utf8.decode(spelled, { stream: true });
  }

  flush(): string {
    this.unfinished = false;
    return this.utf8.decode();
  }
}

/**
 * SentencePiece's rules: `▁` is a space, one leading space of the text goes, runs of byte pieces are UTF-8 in which every
 * byte that fits no character becomes one U+FFFD. Source: sentencepiece_processor.cc, Decode.
 */
class MetaspaceDecoder implements StreamDecoder {
  private readonly spelling: Spelling;
  private readonly special: 'skip' | 'text';
  private readonly bytes = new ByteRun();
  private atStart: boolean;

  constructor(spelling: Spelling, special: 'skip' | 'text') {
    this.spelling = spelling;
    this.special = special;
    this.atStart = spelling.leadingSpace !== 'keep';
  }

  push(id: number): string {
    const { vocabulary, unknownText, leadingSpace } = this.spelling;
    const piece = vocabulary.pieces[id]!;
    const kind = vocabulary.kinds[id];
    if (kind === PieceKind.byte) return this.seen(this.bytes.push(byteOfPiece(piece)), true);
    const before = this.seen(this.bytes.flush(), false);
    if (kind === PieceKind.control) return before + this.seen(this.special === 'skip' ? '' : piece, false);
    if (kind === PieceKind.unknown) return before + this.seen(unknownText, false);
    let text = piece;
    if (this.atStart && text.startsWith(SPACE)) {
      text = text.slice(1);
      if (leadingSpace === 'one') this.atStart = false;
    }
    return before + this.seen(text.replaceAll(SPACE, ' '), false);
  }

  flush(): string {
    return this.bytes.flush();
  }

  private seen(text: string, unfinished: boolean): string {
    if (text !== '' || unfinished) this.atStart = false;
    return text;
  }
}

/** Bytes of byte pieces on their way to characters. */
class ByteRun {
  private waiting: number[] = [];

  push(byte: number): string {
    this.waiting.push(byte);
    let text = '';
    while (this.waiting.length > 0) {
      const length = sequenceLength(this.waiting);
      if (length > this.waiting.length) break;
      text += length === 0 ? '\uFFFD' : decodeOne(this.waiting);
      this.waiting.splice(0, Math.max(length, 1));
    }
    return text;
  }

  flush(): string {
    const text = '\uFFFD'.repeat(this.waiting.length);
    this.waiting = [];
    return text;
  }
}

/** Length of the UTF-8 sequence that these bytes begin (maybe more than there are), or 0 if they cannot begin one. */
function sequenceLength(bytes: readonly number[]): number {
  const [lead, second, ...rest] = bytes as [number, ...number[]];
  if (lead < 0x80) return 1;
  const length =
    lead >= 0xc2 && lead < 0xe0 ? 2 : lead >= 0xe0 && lead < 0xf0 ? 3 : lead >= 0xf0 && lead < 0xf5 ? 4 : 0;
  if (length === 0 || second === undefined) return length;
  const low = lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80; // overlong below
  const high = lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf; // surrogates, beyond U+10FFFF above
  if (!(second >= low && second <= high)) return 0;
  return rest.every((byte) => byte >= 0x80 && byte <= 0xbf) ? length : 0;
}

function decodeOne(bytes: readonly number[]): string {
  const [a, b = 0, c = 0, d = 0] = bytes as [number, ...number[]];
  if (a < 0x80) return String.fromCharCode(a);
  if (a < 0xe0) return String.fromCharCode(((a & 0x1f) << 6) | (b & 0x3f));
  if (a < 0xf0) return String.fromCharCode(((a & 0x0f) << 12) | ((b & 0x3f) << 6) | (c & 0x3f));
  return String.fromCodePoint(((a & 0x07) << 18) | ((b & 0x3f) << 12) | ((c & 0x3f) << 6) | (d & 0x3f));
}
