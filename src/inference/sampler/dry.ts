import type { Candidates } from './candidates.ts';

export interface DrySettings {
  readonly dryMultiplier: number;
  readonly dryBase: number;
  readonly dryAllowedLength: number;
  readonly dryPenaltyLastN: number;
}

/**
 * Token sequences across which a repeat does not count: for every token that ends a breaker or in which one begins, the tokens
 * that must follow it (none, when the token holds the whole breaker).
 */
export type SequenceBreakers = ReadonlyMap<number, readonly Uint32Array[]>;

/** Largest exponent whose power still is an f32, as in llama.cpp. */
const LARGEST_F32_LOG = 88.7228391;

/**
 * "Don't Repeat Yourself": a token that would extend a repeated sequence loses multiplier · base^(L − allowedLength), where L is
 * the length of the longest suffix of the history that stood before the same token earlier.
 *
 * Cost    O(n) by the Z-algorithm on the reversed history: z_k is how far the history's end matches what ended k tokens earlier.
 * Source  text-generation-webui #5677 (p-e-w); Gusfield 1997 §1.3 (Z); llama.cpp.
 */
export class Dry {
  private z = new Uint32Array(64);

  apply(
    candidates: Candidates,
    settings: DrySettings,
    breakers: SequenceBreakers,
    history: Uint32Array,
    length: number,
  ): void {
    const { dryMultiplier, dryBase, dryAllowedLength, dryPenaltyLastN } = settings;
    const n = dryPenaltyLastN < 0 ? length : Math.min(dryPenaltyLastN, length);
    if (dryMultiplier === 0 || dryBase < 1 || n === 0) return;
    const longest = repeatLimit(breakers, history, length, n);
    if (longest < dryAllowedLength) return;

    if (this.z.length < n) this.z = new Uint32Array(2 * n);
    matchSuffix(this.z, history, length, n);

    // counts_V[token] = 1 + the longest repeat that the token would extend
    const { counts_V, logits, ids } = candidates;
    for (let k = 1; k < n; k++) {
      const repeat = Math.min(this.z[k]!, longest);
      const next = history[length - k]!;
      if (repeat >= dryAllowedLength && counts_V[next]! < repeat + 1) counts_V[next] = repeat + 1;
    }
    const largest = dryBase > 1.000001 ? Math.floor(LARGEST_F32_LOG / Math.log(dryBase)) : Number.POSITIVE_INFINITY;
    for (let i = 0; i < candidates.count; i++) {
      const id = ids[i]!;
      const repeat = counts_V[id]! - 1;
      if (repeat < 0) continue;
      const breaks = breakers.get(id)?.some((tail) => tail.length === 0);
      if (!breaks) logits[i]! -= dryMultiplier * dryBase ** Math.min(repeat - dryAllowedLength, largest);
    }
    for (let k = 1; k < n; k++) counts_V[history[length - k]!] = 0;
    candidates.sortedCount = 0;
  }
}

/** Tokens since the last sequence breaker among the last n: no repeat may be longer. */
function repeatLimit(breakers: SequenceBreakers, history: Uint32Array, length: number, n: number): number {
  for (let i = 0; i < n; i++) {
    let longest = -1;
    for (const tail of breakers.get(history[length - 1 - i]!) ?? []) {
      if (tail.length <= longest || tail.length > i) continue;
      if (tail.every((id, offset) => history[length - i + offset] === id)) longest = tail.length;
    }
    if (longest >= 0) return i - longest;
  }
  return n;
}

/** z[k] for 0 < k < n: how many of the last tokens equal those that ended k tokens earlier, going backwards. */
function matchSuffix(z: Uint32Array, history: Uint32Array, length: number, n: number): void {
  const last = length - 1;
  let left = 0;
  let right = 0; // z[left] reaches to here (exclusive), counted from the end
  z[0] = n;
  for (let k = 1; k < n; k++) {
    let match = k < right ? Math.min(right - k, z[k - left]!) : 0;
    while (k + match < n && history[last - match] === history[last - k - match]) match++;
    z[k] = match;
    if (k + match > right) {
      left = k;
      right = k + match;
    }
  }
}

/** What DRY needs of a tokenizer. */
export interface BreakerVocabulary {
  readonly size: number;
  pieceText(id: number): string;
  encode(text: string): Uint32Array;
}

const LONGEST_BREAKER = 40;
const LONGEST_TAIL = 20;

/**
 * Finds in the whole vocabulary where the breaker texts can begin: in a token that holds one, and in a token whose end is the
 * beginning of one (the rest is then tokenized and must follow).
 */
export function findBreakers(vocabulary: BreakerVocabulary, texts: readonly string[]): SequenceBreakers {
  const breakers = new Map<number, Uint32Array[]>();
  for (const whole of texts) {
    const text = whole.slice(0, LONGEST_BREAKER);
    const tails = new Map<string, Uint32Array>();
    const tailOf = (rest: string) => {
      const known = tails.get(rest) ?? vocabulary.encode(rest).slice(0, LONGEST_TAIL);
      tails.set(rest, known);
      return known;
    };
    for (let id = 0; id < vocabulary.size; id++) {
      const piece = vocabulary.pieceText(id);
      const found: Uint32Array[] = [];
      if (piece.includes(text)) found.push(new Uint32Array(0));
      else {
        for (let taken = Math.min(piece.length, text.length - 1); taken > 0; taken--) {
          if (piece.endsWith(text.slice(0, taken))) found.push(tailOf(text.slice(taken)));
        }
      }
      if (found.length > 0) breakers.set(id, [...(breakers.get(id) ?? []), ...found]);
    }
  }
  return breakers;
}
