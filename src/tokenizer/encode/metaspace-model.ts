/**
 * SentencePiece BPE: spaces become `▁`, symbols are characters, pairs merge by rank, and a character that is no piece
 * falls back to its UTF-8 bytes (or to the unknown piece). Also what tokenizer.json files of LLaMA describe in the
 * library's terms (Prepend, Replace, Metaspace, byte_fallback).
 * Source   Kudo & Richardson 2018, arXiv:1808.06226; sentencepiece bpe_model.cc, normalizer.cc.
 */
import { PieceKind, type Vocabulary } from '../vocabulary.ts';
import { ChunkCache } from './chunk-cache.ts';
import type { IdBuffer } from './id-buffer.ts';
import { type Merge, mergeByScan, mergeOneByOne, mergeSymbols, Symbols } from './merge.ts';
import { type Merges, SPACE } from './merges.ts';
import type { TextModel, WordMerges } from './text-model.ts';

export interface MetaspaceOptions {
  readonly vocabulary: Vocabulary;
  readonly merges: Merges;
  readonly normalize: (text: string, atStart: boolean) => string;
  /** 'each': every ▁ begins a word of its own (HF's Metaspace with split). 'free': only merges decide. */
  readonly words: 'free' | 'each';
  /** Ids of the 256 byte pieces; null: unknown characters become `unknownId`. */
  readonly byteIds: Int32Array | null;
  readonly unknownId: number | null;
  readonly fuseUnknown: boolean;
  /** A whole word that is a piece is that piece, whatever the merges say. */
  readonly ignoreMerges: boolean;
}

export class MetaspaceModel implements TextModel {
  readonly normalize: (text: string, atStart: boolean) => string;
  private readonly options: MetaspaceOptions;
  private readonly cutAt: 'nowhere' | 'runs' | 'each';
  /** Symbol of each UTF-16 unit that is a character, and of the characters beyond. */
  private readonly symbolOfUnit = new Int32Array(0x10000).fill(-1);
  private readonly symbolOfAstral = new Map<number, number>();
  /** Pieces of kind "unused" and the symbols that they are taken apart into again. */
  private readonly unusedParts: ReadonlyMap<number, readonly number[]>;
  private readonly cache = new ChunkCache();
  private readonly symbols = new Symbols();

  constructor(options: MetaspaceOptions) {
    this.options = options;
    this.normalize = options.normalize;
    const { vocabulary, merges } = options;
    for (const [piece, id] of vocabulary.idOfPiece) {
      const kind = vocabulary.kinds[id];
      if (kind === PieceKind.normal || kind === PieceKind.userDefined || kind === PieceKind.unused)
        this.setSymbol(piece, id);
    }
    for (const [i, character] of merges.looseCharacters.entries())
      this.setSymbol(character, vocabulary.pieces.length + i);
    const wordsAreSafe = !merges.crossesWords && this.symbolOfUnit[SPACE.charCodeAt(0)]! >= 0;
    this.cutAt = options.words === 'each' ? 'each' : wordsAreSafe ? 'runs' : 'nowhere';
    this.unusedParts = this.takeUnusedApart();
  }

  encode(normalized: string, out: IdBuffer): void {
    this.eachChunk(normalized, (begin, end) => this.encodeChunk(normalized, begin, end, out));
  }

  merges(normalized: string): readonly WordMerges[] {
    const words: WordMerges[] = [];
    this.eachChunk(normalized, (begin, end) => void words.push(this.mergesOf(normalized.slice(begin, end))));
    return words;
  }

  private eachChunk(normalized: string, visit: (begin: number, end: number) => void): void {
    const space = SPACE.charCodeAt(0);
    const { length } = normalized;
    if (this.cutAt === 'nowhere') {
      if (length > 0) visit(0, length);
      return;
    }
    for (let begin = 0; begin < length; ) {
      let end = begin + 1;
      if (this.cutAt === 'runs') while (end < length && normalized.charCodeAt(end) === space) end++;
      end = normalized.indexOf(SPACE, end);
      if (end === -1) end = length;
      visit(begin, end);
      begin = end;
    }
  }

  private mergesOf(chunk: string): WordMerges {
    const { ignoreMerges, vocabulary, merges } = this.options;
    if (ignoreMerges && vocabulary.idOfPiece.has(chunk)) return { states: [[chunk]], merges: [], whole: true };
    const { symbols } = this;
    this.symbolize(chunk);
    // A symbol is always spelled as the characters that it stands for.
    const spelled = () => {
      const starts = [...symbols.start.subarray(0, symbols.count), chunk.length];
      return Array.from({ length: symbols.count }, (_, i) => chunk.slice(starts[i], starts[i + 1]));
    };
    const states = [spelled()];
    const done: Merge[] = [];
    mergeOneByOne(symbols, merges.table, (merge) => {
      done.push(merge);
      states.push(spelled());
    });
    return { states, merges: done, whole: false };
  }

  private encodeChunk(text: string, begin: number, end: number, out: IdBuffer): void {
    if (this.cache.appendTo(out, text, begin, end)) return;
    const from = out.length;
    const chunk = text.slice(begin, end);
    const whole = this.options.ignoreMerges ? this.options.vocabulary.idOfPiece.get(chunk) : undefined;
    if (whole !== undefined) out.push(whole);
    else {
      this.symbolize(chunk);
      mergeSymbols(this.symbols, this.options.merges.table);
      this.emit(chunk, out);
    }
    this.cache.remember(text, begin, end, out.since(from));
  }

  private symbolize(chunk: string): void {
    const { symbols } = this;
    symbols.count = 0;
    symbols.reserve(chunk.length);
    for (let i = 0; i < chunk.length; i++) {
      const unit = chunk.charCodeAt(i);
      if (unit < 0xd800 || unit >= 0xdc00) symbols.push(this.symbolOfUnit[unit]!, i);
      else symbols.push(this.symbolOfAstral.get(chunk.codePointAt(i)!) ?? -1, i++);
    }
  }

  private emit(chunk: string, out: IdBuffer): void {
    const { id, start, count } = this.symbols;
    start[count] = chunk.length;
    const pieceCount = this.options.vocabulary.pieces.length;
    let unknownBefore = false;
    for (let i = 0; i < count; i++) {
      const symbol = id[i]!;
      const parts = this.unusedParts.get(symbol);
      if (parts !== undefined) {
        for (const part of parts) this.emitSymbol(part, '', false, out);
      } else if (symbol >= 0 && symbol < pieceCount) out.push(symbol);
      else this.emitSymbol(symbol, chunk.slice(start[i]!, start[i + 1]!), unknownBefore, out);
      unknownBefore = parts === undefined && (symbol < 0 || symbol >= pieceCount);
    }
  }

  /** A piece, or a character that is none: its bytes, or the unknown piece, once per run where these are fused. */
  private emitSymbol(symbol: number, text: string, unknownBefore: boolean, out: IdBuffer): void {
    const { byteIds, unknownId, fuseUnknown, merges, vocabulary } = this.options;
    const pieceCount = vocabulary.pieces.length;
    if (symbol >= 0 && symbol < pieceCount) {
      out.push(symbol);
    } else if (byteIds !== null) {
      const character = symbol < 0 ? text : merges.looseCharacters[symbol - pieceCount]!;
      pushUtf8(character.codePointAt(0)!, byteIds, out);
    } else if (unknownId !== null && !(fuseUnknown && unknownBefore)) {
      out.push(unknownId);
    }
  }

  private setSymbol(character: string, symbol: number): void {
    const codePoint = character.codePointAt(0);
    if (codePoint === undefined || character.length !== (codePoint > 0xffff ? 2 : 1)) return;
    if (codePoint > 0xffff) this.symbolOfAstral.set(codePoint, symbol);
    else this.symbolOfUnit[codePoint] = symbol;
  }

  /**
   * An unused piece takes part in merging and is then split again where its last merge joined it (sentencepiece's
   * resegmentation). Merging inside a piece does not depend on what is around it, so its last merge is known beforehand.
   */
  private takeUnusedApart(): Map<number, number[]> {
    const { vocabulary, merges } = this.options;
    const halves = new Map<number, [number, number]>();
    for (const [piece, id] of vocabulary.idOfPiece) {
      if (vocabulary.kinds[id] !== PieceKind.unused || piece.length > 256) continue;
      this.symbolize(piece);
      mergeByScan(this.symbols, merges.table, 2);
      if (this.symbols.count === 2) halves.set(id, [this.symbols.id[0]!, this.symbols.id[1]!]);
    }
    const spread = (symbol: number): number[] => halves.get(symbol)?.flatMap(spread) ?? [symbol];
    return new Map(Array.from(halves.keys(), (id) => [id, spread(id)]));
  }
}

/** The ids of a character's bytes: an encoder's call would take longer than all else that the character costs. */
function pushUtf8(codePoint: number, byteIds: Int32Array, out: IdBuffer): void {
  const point = codePoint >= 0xd800 && codePoint < 0xe000 ? 0xfffd : codePoint; // half a pair
  if (point < 0x80) {
    out.push(byteIds[point]!);
    return;
  }
  if (point < 0x800) out.push(byteIds[0xc0 | (point >> 6)]!);
  else {
    if (point < 0x10000) out.push(byteIds[0xe0 | (point >> 12)]!);
    else {
      out.push(byteIds[0xf0 | (point >> 18)]!);
      out.push(byteIds[0x80 | ((point >> 12) & 63)]!);
    }
    out.push(byteIds[0x80 | ((point >> 6) & 63)]!);
  }
  out.push(byteIds[0x80 | (point & 63)]!);
}
