/**
 * Guesses without a model: what followed the last time that the text ended like this. An index of pairs of tokens leads to their
 * earlier places, newest first; of these the one is taken before which most tokens agree too.
 *
 * Source: Saxena 2023, "Prompt Lookup Decoding"; the chains of places are LZ77's (RFC 1951 §4).
 */

/** A place counts from this many equal tokens on. */
export const SHORTEST_MATCH = 2;
/** Earlier places that are compared, and how many tokens back: more finds little, and a text of one repeated pair costs no more. */
const MOST_PLACES = 32;
const LONGEST_MATCH = 32;

export class LookUp {
  /** The newest place of a pair: the position after it. */
  private readonly newest = new Map<number, number>();
  /** The place before it with the same key; 0: none. */
  private previous = new Uint32Array(64);
  /** Positions up to here are in the index. */
  private indexed = 0;

  /** Takes in the text up to `length`, but for its last pair, which is to be found elsewhere. */
  private extend(ids: Uint32Array, length: number): void {
    if (length > this.previous.length) {
      const larger = new Uint32Array(2 * length);
      larger.set(this.previous);
      this.previous = larger;
    }
    for (let end = Math.max(SHORTEST_MATCH, this.indexed + 1); end < length; end++) {
      const key = keyOf(ids, end);
      this.previous[end] = this.newest.get(key) ?? 0;
      this.newest.set(key, end);
    }
    this.indexed = Math.max(this.indexed, length - 1);
  }

  /**
   * Writes what may follow the first `length` ids to `guess_N`. Returns how many tokens before it agree, 0 where nothing was found. A text
   * is only ever added to.
   */
  find(guess_N: Uint32Array, ids: Uint32Array, length: number): number {
    this.extend(ids, length);
    if (length < SHORTEST_MATCH) return 0;
    let best = 0;
    let place = 0;
    let at = this.newest.get(keyOf(ids, length)) ?? 0;
    for (let i = 0; i < MOST_PLACES && at > 0 && best < LONGEST_MATCH; i++, at = this.previous[at]!) {
      let match = 0;
      while (match < LONGEST_MATCH && match < at && ids[at - 1 - match] === ids[length - 1 - match]) match++;
      if (match > best) {
        best = match;
        place = at;
      }
    }
    if (best < SHORTEST_MATCH) return 0;
    // A place that runs into the end repeats itself: the guess goes on with its own beginning.
    for (let i = 0; i < guess_N.length; i++)
      guess_N[i] = place + i < length ? ids[place + i]! : guess_N[place + i - length]!;
    return best;
  }
}

/** Of the two tokens before `end`. Different pairs may share one: matches are compared. */
function keyOf(ids: Uint32Array, end: number): number {
  return (Math.imul(ids[end - 2]!, 0x9e3779b1) + ids[end - 1]!) | 0;
}
