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

export function mutant({ seeds, words }: Corpus, number: number): Uint8Array {
  const random = new Random(number);
  const pick = <T>(list: readonly T[]): T => list[random.below(list.length)]!;
  let bytes = pick(seeds).slice();
  const count = 1 + random.below(random.below(8) === 0 ? 16 : 4);
  for (let i = 0; i < count; i++) bytes = changed(bytes, random, pick, seeds, words);
  return bytes;
}

function changed(
  bytes: Uint8Array<ArrayBuffer>,
  random: Random,
  pick: <T>(list: readonly T[]) => T,
  seeds: readonly Uint8Array[],
  words: readonly Uint8Array[],
): Uint8Array<ArrayBuffer> {
  const { length } = bytes;
  // What matters is mostly at the beginning.
  const place = (end: number) => random.below(Math.max(1, random.below(2) === 0 ? Math.min(end, 512) : end));
  const at = place(length);
  const view = new DataView(bytes.buffer, bytes.byteOffset, length);
  switch (random.below(words.length > 0 ? 12 : 10)) {
    case 0:
      if (length > 0) bytes[at]! ^= 1 << random.below(8);
      return bytes;
    case 1:
      if (length > 0) bytes[at] = pick(bytesOfInterest);
      return bytes;
    case 2:
      if (length > 0) bytes[at] = random.below(256);
      return bytes;
    case 3:
      if (at + 4 <= length) view.setUint32(at, pick(numbersOfInterest), random.below(8) !== 0);
      return bytes;
    case 4:
      if (at + 8 <= length)
        view.setBigUint64(at, random.below(2) === 0 ? pick(bigOfInterest) : BigInt(pick(numbersOfInterest)), true);
      return bytes;
    case 5: // cut off
      return bytes.slice(0, random.below(length + 1));
    case 6: // a piece goes
      return joined(bytes.subarray(0, at), bytes.subarray(Math.min(length, at + 1 + random.below(64))));
    case 7: // a piece comes twice
      return joined(bytes.subarray(0, at), bytes.subarray(at, at + 1 + random.below(64)), bytes.subarray(at));
    case 8: // a piece moves
      if (length > 1) bytes.copyWithin(at, place(length), place(length) + random.below(64));
      return bytes;
    case 9: {
      const other = pick(seeds);
      return joined(bytes.subarray(0, at), other.subarray(place(other.length)));
    }
    case 10:
      return joined(bytes.subarray(0, at), pick(words), bytes.subarray(at));
    default: {
      const word = pick(words);
      return joined(bytes.subarray(0, at), word, bytes.subarray(Math.min(length, at + word.length)));
    }
  }
}

const LONGEST = 1 << 16;

function joined(...parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const part of parts) {
    whole.set(part, at);
    at += part.length;
  }
  return whole.length > LONGEST ? whole.slice(0, LONGEST) : whole;
}
