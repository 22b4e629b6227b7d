/** All ways to cut a text into pieces of a unigram model, as edges from place to place. */
import { PieceTrie } from '../../unigram/piece-trie.ts';

/** A character that no piece is costs this much more than the rarest piece. */
const UNKNOWN_PENALTY = 10;
/** Whose counts an unknown character adds to: sentencepiece's trainer has piece 0 there, and the choice of pieces depends on it. */
const UNKNOWN_ID = 0;

export class Lattice {
  private readonly trie = new PieceTrie();
  private readonly scores: Float64Array;
  private readonly unknownScore: number;
  private edges = 0;
  private length = 0;
  private begins = new Int32Array(256);
  private endsAt = new Int32Array(256);
  private ids = new Int32Array(256);
  private edgeScores = new Float64Array(256);
  private alpha = new Float64Array(64);
  private beta = new Float64Array(64);
  private edgeInto = new Int32Array(64);

  constructor(pieces: readonly string[], scores: Float64Array) {
    this.scores = scores;
    for (const [id, piece] of pieces.entries()) this.trie.add(piece, id);
    let lowest = 0;
    for (const score of scores) lowest = Math.min(lowest, score);
    this.unknownScore = lowest - UNKNOWN_PENALTY;
  }

  /** Edges in order of their beginnings. */
  lay(text: string): void {
    this.edges = 0;
    this.length = text.length;
    if (this.alpha.length <= text.length) {
      this.alpha = new Float64Array(2 * text.length);
      this.beta = new Float64Array(2 * text.length);
      this.edgeInto = new Int32Array(2 * text.length);
    }
    for (let begin = 0; begin < text.length; ) {
      const next = begin + (text.codePointAt(begin)! > 0xffff ? 2 : 1);
      let isPiece = false;
      for (let end = begin, node = 0; end < text.length; ) {
        node = this.trie.next(node, text.charCodeAt(end++));
        if (node < 0) break;
        const id = this.trie.endAt(node);
        if (id < 0) continue;
        if (end === next) isPiece = true;
        this.push(begin, end, id, this.scores[id]!);
      }
      if (!isPiece) this.push(begin, next, UNKNOWN_ID, this.unknownScore);
      begin = next;
    }
  }

  /**
   * Adds to each piece how often it is expected in the text, `count` times: its share of all ways to cut, by their probabilities (forward–backward).
   * Returns the log-probability of the text.
   */
  addExpected(expected: Float64Array, count: number): number {
    const { alpha, beta, begins, endsAt, edgeScores, ids, edges, length } = this;
    alpha.fill(Number.NEGATIVE_INFINITY, 0, length + 1);
    beta.fill(Number.NEGATIVE_INFINITY, 0, length + 1);
    alpha[0] = beta[length] = 0;
    for (let e = 0; e < edges; e++) alpha[endsAt[e]!] = logAdd(alpha[endsAt[e]!]!, alpha[begins[e]!]! + edgeScores[e]!);
    for (let e = edges - 1; e >= 0; e--)
      beta[begins[e]!] = logAdd(beta[begins[e]!]!, beta[endsAt[e]!]! + edgeScores[e]!);
    const total = alpha[length]!;
    for (let e = 0; e < edges; e++) {
      expected[ids[e]!]! += count * Math.exp(alpha[begins[e]!]! + edgeScores[e]! + beta[endsAt[e]!]! - total);
    }
    return total;
  }

  /** The ids of the most probable way, last piece first; `withoutWhole`: of those that cut at least once. Null where there is none. */
  best(withoutWhole: boolean): number[] | null {
    const { alpha, begins, endsAt, edgeScores, edgeInto, edges, length } = this;
    alpha.fill(Number.NEGATIVE_INFINITY, 0, length + 1);
    alpha[0] = 0;
    for (let e = 0; e < edges; e++) {
      if (withoutWhole && begins[e] === 0 && endsAt[e] === length) continue;
      const score = alpha[begins[e]!]! + edgeScores[e]!;
      if (score <= alpha[endsAt[e]!]!) continue;
      alpha[endsAt[e]!] = score;
      edgeInto[endsAt[e]!] = e;
    }
    if (alpha[length] === Number.NEGATIVE_INFINITY) return null;
    const path: number[] = [];
    for (let end = length; end > 0; end = begins[edgeInto[end]!]!) path.push(this.ids[edgeInto[end]!]!);
    return path;
  }

  private push(begin: number, end: number, id: number, score: number): void {
    if (this.edges === this.ids.length) {
      for (const name of ['begins', 'endsAt', 'ids'] as const) {
        const larger = new Int32Array(2 * this.edges);
        larger.set(this[name]);
        this[name] = larger;
      }
      const larger = new Float64Array(2 * this.edges);
      larger.set(this.edgeScores);
      this.edgeScores = larger;
    }
    this.begins[this.edges] = begin;
    this.endsAt[this.edges] = end;
    this.ids[this.edges] = id;
    this.edgeScores[this.edges++] = score;
  }
}

/** log(eᵃ + eᵇ) */
function logAdd(a: number, b: number): number {
  if (a === Number.NEGATIVE_INFINITY) return b;
  const high = Math.max(a, b);
  const low = Math.min(a, b);
  return low < high - 50 ? high : high + Math.log1p(Math.exp(low - high));
}
