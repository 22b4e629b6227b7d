/**
 * Text ⇄ token ids. One class for every kind of tokenizer: added tokens are cut out first, what is left goes to a TextModel
 * (SentencePiece BPE or byte-level BPE), and back through a StreamDecoder.
 *
 * Special tokens are never made from ordinary text unless the caller asks (`special: 'parse'`), so that what a user types
 * cannot end a turn or start a system message.
 */
import { ArgumentError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';
import { type AddedToken, AddedTokens, type Permit } from './encode/added-tokens.ts';
import { BorderFinder, type EncodedPart, type TokenBorder } from './encode/borders.ts';
import { IdBuffer } from './encode/id-buffer.ts';
import { SPACE } from './encode/merges.ts';
import type { TextModel, WordMerges } from './encode/text-model.ts';
import { type FimTokens, fimTokensOf } from './fim.ts';
import { ByteTexts, createStreamDecoder, type Spelling, type StreamDecoder } from './stream-decoder.ts';
import { UnigramModel } from './unigram/unigram-model.ts';
import { byteOfPiece, PieceKind, type Vocabulary } from './vocabulary.ts';

export interface EncodeOptions {
  /** Put the beginning-of-sequence token first. `tokenizer.addBos` says whether the model was trained so. */
  readonly bos?: boolean;
  readonly eos?: boolean;
  /** 'text' (default): `<s>` in the text is three characters. 'parse': it is the token. */
  readonly special?: 'text' | 'parse';
}

export interface DecodeOptions {
  /** 'skip' (default): control tokens have no text. 'text': they appear as their piece. */
  readonly special?: 'skip' | 'text';
}

/** Part of a text. A special token is only found wholly inside one trusted segment; otherwise borders do not matter. */
export interface Segment {
  readonly text: string;
  readonly trusted: boolean;
}

/** What a reader of tokenizer files makes; everything that Tokenizer needs. */
export interface TokenizerParts {
  readonly vocabulary: Vocabulary;
  readonly model: TextModel;
  readonly spelling: Spelling;
  /** Found in the raw text. */
  readonly addedTokens: readonly AddedToken[];
  /** Found in the normalised text (SentencePiece's user-defined pieces, `normalized` tokens of tokenizer.json). */
  readonly normalizedTokens: readonly AddedToken[];
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly unknownId: number | null;
  readonly padId: number | null;
  /** Tokens that end a turn or a text, eos among them. */
  readonly eogIds: readonly number[];
  /** Fill-in-the-middle tokens that the files name; others are known by their pieces. */
  readonly fim?: Partial<FimTokens>;
  readonly addBos: boolean;
  readonly addEos: boolean;
  readonly chatTemplate: string | null;
  /** What a user should hear of the files: guesses, and what is not used. */
  readonly remarks?: readonly string[];
}

export class Tokenizer {
  readonly vocabSize: number;
  readonly bosId: number | null;
  readonly eosId: number | null;
  readonly unknownId: number | null;
  readonly padId: number | null;
  readonly eogIds: ReadonlySet<number>;
  /** Tokens that mark a gap in a text (fill-in-the-middle), null where the vocabulary has none. */
  readonly fim: FimTokens;
  /** Whether prompts of this model begin with bos (end with eos), as its files say. */
  readonly addBos: boolean;
  readonly addEos: boolean;
  /** The model's own chat template (Jinja), if its files hold one. */
  readonly chatTemplate: string | null;
  /** What a user should hear of its files: guesses, and what is not used. */
  readonly remarks: readonly string[];
  private readonly parts: TokenizerParts;
  private readonly raw: AddedTokens;
  private readonly normalized: AddedTokens;
  private readonly byteTexts: ByteTexts;

  constructor(parts: TokenizerParts) {
    this.parts = parts;
    this.vocabSize = parts.vocabulary.pieces.length;
    this.bosId = parts.bosId;
    this.eosId = parts.eosId;
    this.unknownId = parts.unknownId;
    this.padId = parts.padId;
    this.fim = fimTokensOf(parts.vocabulary, parts.fim);
    // A filled gap ends where padding or the next file would follow.
    const { pad, repository, file } = this.fim;
    this.eogIds = new Set([...parts.eogIds, ...[pad, repository, file].filter((id) => id !== null)]);
    this.addBos = parts.addBos;
    this.addEos = parts.addEos;
    this.chatTemplate = parts.chatTemplate;
    this.remarks = parts.remarks ?? [];
    this.raw = new AddedTokens(parts.addedTokens);
    this.normalized = new AddedTokens(parts.normalizedTokens);
    this.byteTexts = new ByteTexts(parts.vocabulary);
  }

  /** Throws ArgumentError `tokenizer.options` for an option that it does not have. */
  encode(text: string, options: EncodeOptions = {}): Uint32Array {
    checkOptions('encode', options, { bos: [true, false], eos: [true, false], special: ['text', 'parse'] });
    const permit: Permit = options.special === 'parse' ? () => true : isVocabulary;
    return this.encodeParts(text.toWellFormed(), permit, permit, options);
  }

  /**
   * Encodes segments as one text, except that special tokens, and added tokens that look like markup (`<tool_call>`), are
   * only found inside one trusted segment. A special token of a single character is never found here.
   */
  encodeSegments(segments: readonly Segment[], options: Omit<EncodeOptions, 'special'> = {}): Uint32Array {
    return this.encodeSegmentsTracing(segments, options, undefined);
  }

  /**
   * encodeSegments, and where `places` (UTF-16 units of the joined texts, ascending) are among the tokens.
   * Places are exact unless a normaliser joins characters across one, or the vocabulary lacks bytes.
   */
  encodeSegmentsWithBorders(
    segments: readonly Segment[],
    places: readonly number[],
  ): { readonly ids: Uint32Array; readonly borders: readonly TokenBorder[] } {
    const finder = new BorderFinder(places, {
      bytesOf: (id) => this.bytesOf(id),
      encode: (normalized) => {
        const out = new IdBuffer();
        this.parts.model.encode(normalized, out);
        return out.take();
      },
      hasMetaspace: this.parts.spelling.kind !== 'byte-level',
    });
    const ids = this.encodeSegmentsTracing(segments, {}, finder);
    return { ids, borders: finder.finish(ids.length) };
  }

  private encodeSegmentsTracing(
    segments: readonly Segment[],
    options: Omit<EncodeOptions, 'special'>,
    finder: BorderFinder | undefined,
  ): Uint32Array {
    const ends: number[] = [];
    let text = '';
    for (const segment of segments) {
      text += segment.text;
      ends.push(text.length);
    }
    text = text.toWellFormed(); // one unit for one unit: positions stay
    const insideTrusted = (begin: number, end: number): boolean => {
      const segment = firstAbove(ends, begin);
      return segment < ends.length && segments[segment]!.trusted && end <= ends[segment]!;
    };
    const permit: Permit = (token, begin, end) =>
      token.control ? end - begin > 1 && insideTrusted(begin, end) : !isMarkup(token) || insideTrusted(begin, end);
    // Positions are lost by normalising, so control tokens are not looked for in normalised text.
    return this.encodeParts(text, permit, isVocabulary, options, this.rawAndControl, finder);
  }

  decode(ids: ArrayLike<number>, options: DecodeOptions = {}): string {
    checkOptions('decode', options, { special: ['skip', 'text'] });
    const decoder = this.decoder(options);
    let text = '';
    for (let i = 0; i < ids.length; i++) text += decoder.push(ids[i]!);
    return text + decoder.flush();
  }

  /** A decoder for ids that come one at a time; its texts joined are decode(ids). */
  decoder(options: DecodeOptions = {}): StreamDecoder {
    const inner = createStreamDecoder(this.parts.spelling, this.byteTexts, options.special ?? 'skip');
    return { push: (id) => inner.push(this.checked(id)), flush: () => inner.flush() };
  }

  /** The pieces of `ids` as the vocabulary spells them. */
  pieces(ids: ArrayLike<number>): string[] {
    return Array.from(ids, (id) => this.pieceOf(id));
  }

  pieceOf(id: number): string {
    return this.parts.vocabulary.pieces[this.checked(id)]!;
  }

  /** The bytes that a token stands for in the middle of a text; they need not be whole characters. */
  bytesOf(id: number): Uint8Array {
    const { spelling, vocabulary } = this.parts;
    const piece = this.pieceOf(id);
    const kind = vocabulary.kinds[id];
    const utf8 = new TextEncoder();
    if (kind === PieceKind.control || kind === PieceKind.unknown) return utf8.encode(piece);
    if (spelling.kind === 'byte-level') {
      const spelled = this.byteTexts.of(id);
      return typeof spelled === 'string' ? utf8.encode(spelled) : spelled;
    }
    return kind === PieceKind.byte ? Uint8Array.of(byteOfPiece(piece)) : utf8.encode(piece.replaceAll(SPACE, ' '));
  }

  idOf(piece: string): number | null {
    return this.parts.vocabulary.idOfPiece.get(piece) ?? null;
  }

  kindOf(id: number): PieceKind {
    return this.parts.vocabulary.kinds[this.checked(id)] as PieceKind;
  }

  /** Control tokens and their texts: what a chat template may write and a user may not. */
  get controlTokens(): readonly AddedToken[] {
    return this.rawAndControl.tokens.filter((token) => token.control || isMarkup(token));
  }

  private get rawAndControl(): AddedTokens {
    const { addedTokens, normalizedTokens } = this.parts;
    return (this.cachedRawAndControl ??= new AddedTokens([
      ...addedTokens,
      ...normalizedTokens.filter(({ control }) => control),
    ]));
  }
  private cachedRawAndControl: AddedTokens | undefined;

  private encodeParts(
    text: string,
    permitRaw: Permit,
    permitNormalized: Permit,
    options: EncodeOptions,
    raw: AddedTokens = this.raw,
    finder?: BorderFinder,
  ): Uint32Array {
    const out = new IdBuffer();
    if (options.bos === true) out.push(this.required('bos', this.bosId));
    for (const part of raw.split(text, permitRaw)) {
      if ('id' in part) {
        finder?.addToken(out.length, part.at, part.end);
        out.push(part.id);
        continue;
      }
      const { model } = this.parts;
      const normalize = (text: string) => model.normalize(text, part.at === 0);
      const normalized = normalize(part.text);
      const encoded: EncodedPart[] = [];
      for (const inner of this.normalized.split(normalized, permitNormalized)) {
        const firstToken = out.length;
        if ('id' in inner) out.push(inner.id);
        else model.encode(inner.text, out);
        if (finder === undefined) continue;
        const written = 'id' in inner ? normalized.slice(inner.at, inner.end) : inner.text;
        encoded.push({ normalized: written, at: inner.at, ids: out.since(firstToken).slice(), firstToken });
      }
      finder?.addText(part.text, part.at, normalize, encoded);
    }
    if (options.eos === true) out.push(this.required('eos', this.eosId));
    return out.take();
  }

  /**
   * How ordinary text becomes pieces: for each word its symbols after every merge. Special and added tokens in the text are not looked
   * for; characters that are no piece, which encode() spells as bytes, stay characters.
   */
  merges(text: string): readonly WordMerges[] {
    const { model } = this.parts;
    return model.merges(model.normalize(text.toWellFormed(), true));
  }

  /** Pieces are chosen by their probabilities, not merged. */
  get isUnigram(): boolean {
    return this.parts.model instanceof UnigramModel;
  }

  private required(name: 'bos' | 'eos', id: number | null): number {
    if (id !== null) return id;
    throw new ArgumentError(
      `tokenizer.no-${name}`,
      `encode: expected a tokenizer with a ${name} token for { ${name}: true }, ` +
        `found none in ${this.parts.vocabulary.file}. Leave the option out.`,
    );
  }

  private checked(id: number): number {
    if (Number.isInteger(id) && id >= 0 && id < this.vocabSize) return id;
    throw new ArgumentError(
      'tokenizer.id-range',
      `tokenizer: expected an id from 0 to ${this.vocabSize - 1}, found ${id}. Are these ids of another tokenizer?`,
    );
  }
}

const isVocabulary: Permit = (token) => !token.control;

/** Added tokens that are no control tokens in their file but are markup by their looks: `<think>`, `[TOOL_CALLS]`. */
function isMarkup(token: AddedToken): boolean {
  return /^(?:<.+>|\[.+\])$/s.test(token.content);
}

/** Index of the first value greater than `wanted` in a sorted list. */
function firstAbove(sorted: readonly number[], wanted: number): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (sorted[middle]! > wanted) high = middle;
    else low = middle + 1;
  }
  return low;
}

/** Ids of control pieces by kind, for readers: everything that a file marks as control becomes an added token. */
export function controlTokens(vocabulary: Vocabulary, kinds: readonly PieceKind[] = [PieceKind.control]): AddedToken[] {
  const tokens: AddedToken[] = [];
  for (const [id, content] of vocabulary.pieces.entries()) {
    if (!kinds.includes(vocabulary.kinds[id] as PieceKind)) continue;
    const control = vocabulary.kinds[id] !== PieceKind.userDefined;
    tokens.push({ id, content, control, lstrip: false, rstrip: false, singleWord: false });
  }
  return tokens;
}

/** No option is accepted and ignored: every key must be known, and every value one of its choices. */
function checkOptions(call: string, options: object, known: Readonly<Record<string, readonly unknown[]>>): void {
  for (const [name, value] of Object.entries(options)) {
    if (value === undefined) continue;
    const choices = Object.hasOwn(known, name) ? known[name]! : null;
    if (choices?.includes(value)) continue;
    const near = nearestNames(name, Object.keys(known), 1)[0];
    const problem = choices
      ? `${name} is ${JSON.stringify(value)}, expected ${choices.map((choice) => JSON.stringify(choice)).join(' or ')}`
      : `${name} is not an option${near ? ` (did you mean ${near}?)` : ''}`;
    throw new ArgumentError(
      'tokenizer.options',
      `tokenizer.${call}: ${problem}. The options are ${Object.keys(known).join(', ')}.`,
    );
  }
}
