/** Mutants of a file: the same number gives the same mutant, so that a finding is told by its number. */
import { Random } from '../../src/base/random.ts';

const bytesOfInterest = [
  0, 1, 2, 4, 0x7f, 0x80, 0xff, 0x20, 0x22, 0x2c, 0x5b, 0x5d, 0x7b, 0x7d, 0x28, 0x29, 0x2a, 0x2b,
];
const numbersOfInterest = [
  0,
  1,
  2,
  3,
  7,
  8,
  31,
  32,
  33,
  127,
  128,
  255,
  256,
  65_535,
  65_536,
  2 ** 24,
  2 ** 31 - 1,
  2 ** 31,
  2 ** 32 - 1,
];
const bigOfInterest = [2n ** 32n, 2n ** 53n, 2n ** 63n - 1n, 2n ** 63n, 2n ** 64n - 1n, 2n ** 60n];

export interface Corpus {
  readonly seeds: readonly Uint8Array[];
  /** Texts that mutants are given pieces of: keywords of the format. */
  readonly words: readonly Uint8Array[];
}

/** What a mutant may grow to that something was added to. */
const LONGEST = 1 << 16;
const LONGEST_SEED = 1 << 18;
/** Every change is made in one place: an array for each would cost more than many readers. */
const place = new Uint8Array(LONGEST_SEED + LONGEST);
const view = new DataView(place.buffer);

export function mutant({ seeds, words }: Corpus, number: number): Uint8Array<ArrayBuffer> {
  const random = new Random(number);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  const seed = pick(seeds);
  if (seed.length > LONGEST_SEED)
    throw new RangeError(`a seed of ${seed.length} bytes, expected ${LONGEST_SEED} at most`);
  place.set(seed);
  let { length } = seed;
  const count = 1 + random.below(random.below(8) === 0 ? 16 : 4);
  for (let i = 0; i < count; i++) length = changed(length, random, pick, seeds, words);
  return place.slice(0, length);
}

/** Changes the first `length` bytes of the place; how many there are then. */
function changed(
  length: number,
  random: Random,
  pick: <T>(list: readonly T[]) => T,
  seeds: readonly Uint8Array[],
  words: readonly Uint8Array[],
): number {
  // What matters is mostly at the beginning.
  const somewhere = (end: number) => random.below(Math.max(1, random.below(2) === 0 ? Math.min(end, 512) : end));
  const at = somewhere(length);
  switch (random.below(words.length > 0 ? 12 : 10)) {
    case 0:
      if (length > 0) place[at]! ^= 1 << random.below(8);
      return length;
    case 1:
      if (length > 0) place[at] = pick(bytesOfInterest);
      return length;
    case 2:
      if (length > 0) place[at] = random.below(256);
      return length;
    case 3:
      if (at + 4 <= length) view.setUint32(at, pick(numbersOfInterest), random.below(8) !== 0);
      return length;
    case 4:
      if (at + 8 <= length)
        view.setBigUint64(at, random.below(2) === 0 ? pick(bigOfInterest) : BigInt(pick(numbersOfInterest)), true);
      return length;
    case 5: // cut off
      return random.below(length + 1);
    case 6: // a piece goes
      return replaced(length, at, Math.min(length, at + 1 + random.below(64)), null);
    case 7: // a piece comes twice
      return twice(length, at, Math.min(length, at + 1 + random.below(64)));
    case 8: // a piece moves
      if (length > 1) {
        const from = somewhere(length);
        const until = Math.min(length, somewhere(length) + random.below(64));
        if (until > from) place.copyWithin(at, from, Math.min(until, from + length - at));
      }
      return length;
    case 9: {
      const other = pick(seeds);
      return replaced(length, at, length, other.subarray(somewhere(other.length)));
    }
    case 10:
      return replaced(length, at, at, pick(words));
    default: {
      const word = pick(words);
      return replaced(length, at, Math.min(length, at + word.length), word);
    }
  }
}

/** Bytes from `at` to `until` become `bytes`. */
function replaced(length: number, at: number, until: number, bytes: Uint8Array | null): number {
  const start = Math.min(at, length);
  const added = Math.min(bytes?.length ?? 0, LONGEST);
  place.copyWithin(start + added, until, length);
  if (bytes !== null) place.set(added < bytes.length ? bytes.subarray(0, added) : bytes, start);
  return Math.min(LONGEST, length + added - (until - start));
}

/** Bytes from `at` to `until` come twice. */
function twice(length: number, at: number, until: number): number {
  place.copyWithin(until, at, length);
  return Math.min(LONGEST, length + until - at);
}
