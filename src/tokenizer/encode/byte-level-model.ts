/**
 * Byte-level BPE: text is cut into words by a regular expression, each word's UTF-8 bytes are the first symbols, pairs
 * merge by rank. Nothing is unknown as long as the vocabulary has all bytes.
 * Source   Radford et al. 2019 (GPT-2) §2.2; tiktoken; Llama 3 tokenizer.py.
 */
import { ArgumentError } from '../../base/errors.ts';
import { bytesToLetters, letterOfByte } from '../byte-alphabet.ts';
import type { Vocabulary } from '../vocabulary.ts';
import { ChunkCache } from './chunk-cache.ts';
import type { IdBuffer } from './id-buffer.ts';
import { type Merge, mergeOneByOne, mergeSymbols, Symbols } from './merge.ts';
import type { PairTable } from './pair-table.ts';
import type { Splitter } from './split-pattern.ts';
import type { TextModel, WordMerges } from './text-model.ts';

export interface ByteLevelOptions {
  /** Pieces in the byte alphabet (`Ġthe`). */
  readonly vocabulary: Vocabulary;
  readonly table: PairTable;
  readonly normalize: (text: string, atStart: boolean) => string;
  readonly split: Splitter;
  /** A whole word that is a piece is that piece, whatever the merges say (Llama 3, tiktoken). */
  readonly ignoreMerges: boolean;
  readonly unknownId: number | null;
}

export class ByteLevelModel implements TextModel {
  readonly normalize: (text: string, atStart: boolean) => string;
  private readonly options: ByteLevelOptions;
  private readonly symbolOfByte: Int32Array;
  private readonly cache = new ChunkCache();
  private readonly symbols = new Symbols();
  private readonly encoder = new TextEncoder();

  constructor(options: ByteLevelOptions) {
    this.options = options;
    this.normalize = options.normalize;
    const { idOfPiece } = options.vocabulary;
    this.symbolOfByte = Int32Array.from(letterOfByte, (letter) => idOfPiece.get(letter) ?? -1);
  }

  encode(normalized: string, out: IdBuffer): void {
    this.options.split(normalized, (chunk) => this.encodeChunk(chunk, out));
  }

  merges(normalized: string): readonly WordMerges[] {
    const words: WordMerges[] = [];
    this.options.split(normalized, (chunk) => {
      if (chunk !== '') words.push(this.mergesOf(chunk));
    });
    return words;
  }

  private mergesOf(chunk: string): WordMerges {
    const { ignoreMerges, vocabulary, table } = this.options;
    const { symbols } = this;
    const bytes = this.encoder.encode(chunk);
    const letters = bytesToLetters(bytes);
    if (ignoreMerges && vocabulary.idOfPiece.has(letters)) return { states: [[letters]], merges: [], whole: true };
    symbols.count = 0;
    symbols.reserve(bytes.length);
    for (const [i, byte] of bytes.entries()) symbols.push(this.symbol(byte), i);
    const spelled = () => Array.from(symbols.id.subarray(0, symbols.count), (id) => vocabulary.pieces[id]!);
    const states = [spelled()];
    const done: Merge[] = [];
    mergeOneByOne(symbols, table, (merge) => {
      done.push(merge);
      states.push(spelled());
    });
    return { states, merges: done, whole: false };
  }

  private encodeChunk(chunk: string, out: IdBuffer): void {
    if (chunk === '' || this.cache.appendTo(out, chunk, 0, chunk.length)) return;
    const from = out.length;
    const { ignoreMerges, vocabulary, table } = this.options;
    const bytes = this.encoder.encode(chunk);
    const whole = ignoreMerges && bytes.length <= 512 ? vocabulary.idOfPiece.get(bytesToLetters(bytes)) : undefined;
    if (whole !== undefined) {
      out.push(whole);
    } else {
      const { symbols } = this;
      symbols.count = 0;
      symbols.reserve(bytes.length);
      for (const [i, byte] of bytes.entries()) symbols.push(this.symbol(byte), i);
      mergeSymbols(symbols, table);
      for (let i = 0; i < symbols.count; i++) out.push(symbols.id[i]!);
    }
    this.cache.remember(chunk, 0, chunk.length, out.since(from));
  }

  private symbol(byte: number): number {
    const symbol = this.symbolOfByte[byte]!;
    if (symbol >= 0) return symbol;
    const { unknownId, vocabulary } = this.options;
    if (unknownId !== null) return unknownId;
    throw new ArgumentError(
      'tokenizer.missing-byte',
      `${vocabulary.file}: expected a piece for byte 0x${byte.toString(16)} of the text, found none in the vocabulary, ` +
        'and no unknown token. Leave that character out or use another tokenizer.',
    );
  }
}
