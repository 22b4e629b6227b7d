/**
 * Unigram language model: of all ways to cut a text into pieces, the most probable one.
 *
 *   best(i) = max over pieces p that end at i of best(i − |p|) + score(p)          (Viterbi; of equals, the one that begins first)
 *
 * A character that no piece is has the lowest score minus 10, and is spelled as its bytes, or as the unknown piece, once for a run of them.
 * Source   Kudo 2018, arXiv:1804.10959 §3.2; sentencepiece unigram_model.cc, Model::EncodeOptimized.
 */

import type { IdBuffer } from '../encode/id-buffer.ts';
import { SPACE } from '../encode/merges.ts';
import type { TextModel, WordMerges } from '../encode/text-model.ts';
import { PieceKind, type Vocabulary } from '../vocabulary.ts';
import { PieceTrie } from './piece-trie.ts';

export interface UnigramOptions {
  readonly vocabulary: Vocabulary;
  /** Log-probability of each id; only those of normal pieces count. */
  readonly scores: ArrayLike<number>;
  readonly normalize: (text: string, atStart: boolean) => string;
  /** 'each': every ▁ begins a word of its own (HF's Metaspace with split). 'free': only scores decide. */
  readonly words: 'free' | 'each';
  /** What sums are kept in: f32 in sentencepiece, f64 in the tokenizers library. Equal sums are decided by it. */
  readonly sums: 'f32' | 'f64';
  /** Ids of the 256 byte pieces; null: unknown characters become `unknownId`. */
  readonly byteIds: Int32Array | null;
  readonly unknownId: number | null;
}

const UNKNOWN_PENALTY = 10;
/** In `pieceEndingAt`: a character that is no piece. */
const UNKNOWN = -1;

export class UnigramModel implements TextModel {
  readonly normalize: (text: string, atStart: boolean) => string;
  private readonly options: UnigramOptions;
  private readonly trie = new PieceTrie();
  private readonly unknownScore: number;
  private readonly round: (sum: number) => number;
  private readonly encoder = new TextEncoder();
  private bestAt = new Float64Array(0);
  private startOf = new Int32Array(0);
  private pieceEndingAt = new Int32Array(0);

  constructor(options: UnigramOptions) {
    this.options = options;
    this.normalize = options.normalize;
    this.round = options.sums === 'f32' ? Math.fround : (sum) => sum;
    const { vocabulary, scores } = options;
    let lowest = Number.POSITIVE_INFINITY;
    for (const [piece, id] of vocabulary.idOfPiece) {
      if (vocabulary.kinds[id] !== PieceKind.normal) continue;
      this.trie.add(piece, id);
      lowest = Math.min(lowest, scores[id]!);
    }
    this.unknownScore = this.round(lowest - UNKNOWN_PENALTY);
  }

  encode(normalized: string, out: IdBuffer): void {
    for (const chunk of this.chunks(normalized)) {
      let unknownBefore = false;
      for (const [begin, end, id] of this.bestPath(chunk)) {
        if (id !== UNKNOWN) out.push(id);
        else this.emitUnknown(chunk.slice(begin, end), unknownBefore, out);
        unknownBefore = id === UNKNOWN;
      }
    }
  }

  /** Nothing is merged: each word has its pieces as its only state, what is unknown as the text spells it. */
  merges(normalized: string): readonly WordMerges[] {
    return this.chunks(normalized).map((chunk) => {
      const pieces: string[] = [];
      let unknownBefore = false;
      for (const [begin, end, id] of this.bestPath(chunk)) {
        const isUnknown = id === UNKNOWN && this.options.byteIds === null;
        if (isUnknown && unknownBefore) pieces.push(pieces.pop()! + chunk.slice(begin, end));
        else pieces.push(chunk.slice(begin, end));
        unknownBefore = isUnknown;
      }
      return { states: [pieces], merges: [], whole: pieces.length === 1 };
    });
  }

  private chunks(normalized: string): string[] {
    if (normalized === '') return [];
    return this.options.words === 'free' ? [normalized] : normalized.split(new RegExp(`(?=${SPACE})`, 'u'));
  }

  /** The pieces of the best path, in order: begin, end and id of each. */
  private bestPath(text: string): (readonly [begin: number, end: number, id: number])[] {
    this.findBest(text);
    const path: (readonly [number, number, number])[] = [];
    for (let end = text.length; end > 0; end = this.startOf[end]!)
      path.push([this.startOf[end]!, end, this.pieceEndingAt[end]!]);
    return path.reverse();
  }

  private findBest(text: string): void {
    const { trie, round } = this;
    const { scores } = this.options;
    const { length } = text;
    if (this.bestAt.length <= length) {
      this.bestAt = new Float64Array(length * 2 + 1);
      this.startOf = new Int32Array(length * 2 + 1);
      this.pieceEndingAt = new Int32Array(length * 2 + 1);
    }
    const { bestAt, startOf, pieceEndingAt } = this;
    bestAt.fill(Number.NEGATIVE_INFINITY, 1, length + 1);
    bestAt[0] = 0;
    for (let begin = 0; begin < length; ) {
      const unit = text.charCodeAt(begin);
      const isPair = unit >= 0xd800 && unit < 0xdc00 && begin + 1 < length;
      const next = begin + (isPair ? 2 : 1);
      const here = bestAt[begin]!;
      let isPiece = false;
      for (let end = begin, node = 0; end < length; ) {
        node = trie.next(node, text.charCodeAt(end++));
        if (node < 0) break;
        const id = trie.endAt(node);
        if (id < 0) continue;
        if (end === next) isPiece = true;
        // Compared before it is rounded, as sentencepiece does: its ties depend on it.
        const sum = scores[id]! + here;
        if (sum <= bestAt[end]!) continue;
        bestAt[end] = round(sum);
        startOf[end] = begin;
        pieceEndingAt[end] = id;
      }
      const sum = round(this.unknownScore + here);
      if (!isPiece && sum > bestAt[next]!) {
        bestAt[next] = sum;
        startOf[next] = begin;
        pieceEndingAt[next] = UNKNOWN;
      }
      begin = next;
    }
  }

  private emitUnknown(character: string, unknownBefore: boolean, out: IdBuffer): void {
    const { byteIds, unknownId } = this.options;
    if (byteIds !== null) for (const byte of this.encoder.encode(character)) out.push(byteIds[byte]!);
    else if (unknownId !== null && !unknownBefore) out.push(unknownId);
  }
}
