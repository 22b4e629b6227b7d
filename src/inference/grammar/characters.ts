/** Sets of Unicode characters, and the byte sequences that spell them in UTF-8. */

/** Ranges of code points, both ends included; sorted, apart from each other, without surrogates. */
export type CharacterSet = readonly (readonly [from: number, to: number])[];

const LAST = 0x10ffff;
const SURROGATES = [0xd800, 0xdfff] as const;

/** Any ranges as a set: sorted, joined, and without the surrogates, which UTF-8 cannot spell. */
export function characterSet(ranges: CharacterSet): CharacterSet {
  const sorted = ranges.length > 1 ? ranges.toSorted((a, b) => a[0] - b[0]) : ranges;
  const joined: [number, number][] = [];
  const add = (from: number, to: number) => {
    if (from > to) return;
    const last = joined.at(-1);
    if (last && from <= last[1] + 1) last[1] = Math.max(last[1], to);
    else joined.push([from, to]);
  };
  for (const [from, to] of sorted) {
    if (to < SURROGATES[0] || from > SURROGATES[1]) add(from, to);
    else {
      add(from, SURROGATES[0] - 1);
      add(SURROGATES[1] + 1, to);
    }
  }
  return joined;
}

/** Every character that is not in the set. */
export function complement(set: CharacterSet): CharacterSet {
  const rest: [number, number][] = [];
  let next = 0;
  for (const [from, to] of set) {
    if (from > next) rest.push([next, from - 1]);
    next = to + 1;
  }
  if (next <= LAST) rest.push([next, LAST]);
  return characterSet(rest);
}

export function intersection(a: CharacterSet, b: CharacterSet): CharacterSet {
  const both: [number, number][] = [];
  for (let i = 0, j = 0; i < a.length && j < b.length; ) {
    const [from, to] = [Math.max(a[i]![0], b[j]![0]), Math.min(a[i]![1], b[j]![1])];
    if (from <= to) both.push([from, to]);
    if (a[i]![1] < b[j]![1]) i++;
    else j++;
  }
  return both;
}

export function contains(set: CharacterSet, point: number): boolean {
  let [low, high] = [0, set.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if (set[middle]![1] < point) low = middle + 1;
    else high = middle;
  }
  return low < set.length && set[low]![0] <= point;
}

export const anyCharacter: CharacterSet = complement([]);

/** One range of values for each byte of a sequence. */
export type ByteRanges = readonly (readonly [from: number, to: number])[];

/**
 * The UTF-8 spellings of a set as a few sequences of byte ranges: each range of code points is cut where the length changes and
 * where a trailing byte does not run through all of its values.
 */
export function utf8Sequences(set: CharacterSet): readonly ByteRanges[] {
  let known = spellings.get(set);
  if (!known) spellings.set(set, (known = spell(set)));
  return known;
}

/** A grammar uses one set in many places. */
const spellings = new WeakMap<CharacterSet, readonly ByteRanges[]>();

function spell(set: CharacterSet): ByteRanges[] {
  const sequences: ByteRanges[] = [];
  for (const [from, to] of set) {
    let start = from;
    for (const limit of [0x7f, 0x7ff, 0xffff, LAST]) {
      if (start > limit) continue;
      const end = Math.min(to, limit);
      if (start <= end) splitRange(start, end, sequences);
      start = Math.max(start, limit + 1);
      if (start > to) break;
    }
  }
  return sequences;
}

/** `from` and `to` have spellings of the same length. */
function splitRange(from: number, to: number, out: ByteRanges[]): void {
  if (to > 0x7f) {
    for (const bits of [6, 12, 18]) {
      const mask = (1 << bits) - 1;
      if (from >> bits === to >> bits) break;
      if ((from & mask) !== 0) {
        splitRange(from, from | mask, out);
        splitRange((from | mask) + 1, to, out);
        return;
      }
      if ((to & mask) !== mask) {
        splitRange(from, (to & ~mask) - 1, out);
        splitRange(to & ~mask, to, out);
        return;
      }
    }
  }
  const [low, high] = [utf8Bytes(from), utf8Bytes(to)];
  out.push(low.map((byte, i) => [byte, high[i]!] as const));
}

function utf8Bytes(point: number): number[] {
  if (point < 0x80) return [point];
  if (point < 0x800) return [0xc0 | (point >> 6), 0x80 | (point & 63)];
  if (point < 0x10000) return [0xe0 | (point >> 12), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)];
  return [0xf0 | (point >> 18), 0x80 | ((point >> 12) & 63), 0x80 | ((point >> 6) & 63), 0x80 | (point & 63)];
}
