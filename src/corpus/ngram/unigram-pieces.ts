/**
 * SentencePiece unigram models, as far as CCNet's language models need them: text → pieces by the best path.
 *
 *   best(i) = max over pieces p that end at i of best(i − |p|) + score(p)          (Viterbi; ties keep the longer piece)
 *
 * A character that no piece covers is a piece of its own with the lowest score minus 10, as in SentencePiece; neighbouring unknown
 * characters are one piece. Spaces become ▁, one is put in front, runs of spaces are one. The model's own normalisation table (nmt_nfkc) is
 * taken as String.normalize('NFKC'): CCNet's text has already been normalised further than that.
 * Source: Kudo 2018, arXiv:1804.10959; sentencepiece unigram_model.cc.
 */
import { FormatError } from '../../base/errors.ts';
import { readFields } from '../../tokenizer/files/protobuf.ts';

const SPACE = '\u2581';
const UNKNOWN_PENALTY = 10;
const NORMAL = 1;
const USER_DEFINED = 4;

export class UnigramPieces {
  private readonly trie = new PieceTrie();
  private readonly unknownScore: number;

  constructor(pieces: readonly { readonly text: string; readonly score: number }[]) {
    let lowest = 0;
    for (const { text, score } of pieces) {
      this.trie.add(text, score);
      lowest = Math.min(lowest, score);
    }
    this.unknownScore = lowest - UNKNOWN_PENALTY;
  }

  encode(text: string): string[] {
    // Every white space but U+FEFF, which JavaScript counts as one and SentencePiece does not.
    const words = text
      .normalize('NFKC')
      .replace(/[^\S\ufeff]+/g, ' ')
      .replace(/^ | $/g, '');
    if (words === '') return [];
    const input = SPACE + words.replaceAll(' ', SPACE);
    const scores = new Float64Array(input.length + 1).fill(Number.NEGATIVE_INFINITY);
    const starts = new Int32Array(input.length + 1);
    const unknown = new Uint8Array(input.length + 1);
    scores[0] = 0;
    for (let i = 0; i < input.length; i++) {
      if (scores[i] === Number.NEGATIVE_INFINITY) continue; // inside a surrogate pair
      const one = (input.charCodeAt(i) & 0xfc00) === 0xd800 ? 2 : 1;
      let covered = false;
      this.trie.each(input, i, (end, score) => {
        if (end === i + one) covered = true;
        if (scores[i]! + score <= scores[end]!) return;
        scores[end] = scores[i]! + score;
        starts[end] = i;
        unknown[end] = 0;
      });
      const end = Math.min(input.length, i + one);
      if (covered || scores[i]! + this.unknownScore <= scores[end]!) continue;
      scores[end] = scores[i]! + this.unknownScore;
      starts[end] = i;
      unknown[end] = 1;
    }
    const pieces: string[] = [];
    let wasUnknown = false;
    for (let end = input.length; end > 0; end = starts[end]!) {
      const piece = input.slice(starts[end], end);
      if (wasUnknown && unknown[end]) pieces[pieces.length - 1] = piece + pieces.at(-1)!;
      else pieces.push(piece);
      wasUnknown = unknown[end] === 1;
    }
    return pieces.reverse();
  }
}

/** Reads a unigram tokenizer.model; undefined when it is a model of another kind. Throws FormatError when it is no model at all. */
export function parseUnigramModel(bytes: Uint8Array, file: string): UnigramPieces | undefined {
  const pieces: { text: string; score: number }[] = [];
  const decoder = new TextDecoder();
  let modelType = 1;
  for (const field of readFields(file, bytes)) {
    if (field.wire !== 'bytes') continue;
    if (field.number === 1) {
      let text = '';
      let score = 0;
      let kind = NORMAL;
      for (const part of readFields(file, field.value, field.at)) {
        if (part.number === 1 && part.wire === 'bytes') text = decoder.decode(part.value);
        else if (part.number === 2 && part.wire === 'fixed32') score = part.value;
        else if (part.number === 3 && part.wire === 'varint') kind = part.value;
      }
      if (kind === NORMAL || kind === USER_DEFINED) pieces.push({ text, score });
    } else if (field.number === 2) {
      for (const part of readFields(file, field.value, field.at)) {
        if (part.number === 3 && part.wire === 'varint') modelType = part.value;
      }
    }
  }
  if (modelType !== 1) return undefined;
  if (pieces.length > 0) return new UnigramPieces(pieces);
  throw new FormatError(
    { code: 'pieces.empty', file, where: 'pieces' },
    'a SentencePiece model without pieces',
    'The file is damaged.',
  );
}

/** Pieces in a trie over UTF-16 units; edges in one hash table. */
class PieceTrie {
  private readonly edges = new Map<number, number>();
  private readonly scores: number[] = [Number.NaN];

  add(text: string, score: number): void {
    let node = 0;
    for (let i = 0; i < text.length; i++) {
      const key = node * 65536 + text.charCodeAt(i);
      let next = this.edges.get(key);
      if (next === undefined) {
        next = this.scores.length;
        this.scores.push(Number.NaN);
        this.edges.set(key, next);
      }
      node = next;
    }
    this.scores[node] = score;
  }

  each(text: string, start: number, visit: (end: number, score: number) => void): void {
    let node = 0;
    for (let i = start; i < text.length; i++) {
      const next = this.edges.get(node * 65536 + text.charCodeAt(i));
      if (next === undefined) return;
      node = next;
      const score = this.scores[node]!;
      if (!Number.isNaN(score)) visit(i + 1, score);
    }
  }
}
