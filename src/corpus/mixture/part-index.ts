/**
 * What lies in a shard's part of a bucket, in the order of writing; a shard is put in its order from it.
 *
 *   record: u32 rank low · rank high · unit · place low · place high · copy · length · source        32 bytes, little-endian; lengths and places in tokens
 */
const RECORD_WORDS = 8;

export interface PartEntry {
  /** Place in the shard: see shuffleRank. Ties go by unit, place in the unit, copy. */
  readonly rank: number;
  readonly unit: number;
  readonly place: number;
  readonly copy: number;
  readonly length: number;
  /** Number of the source in the recipe. */
  readonly source: number;
}

export function encodePartEntry({ rank, unit, place, copy, length, source }: PartEntry): Uint8Array {
  const words = new Uint32Array(RECORD_WORDS);
  words.set([
    rank >>> 0,
    Math.floor(rank / 2 ** 32),
    unit,
    place >>> 0,
    Math.floor(place / 2 ** 32),
    copy,
    length,
    source,
  ]);
  return new Uint8Array(words.buffer);
}

/** The documents of a part in the shard's order; `at`: where each one's tokens begin in the part. */
export function readPart(bytes: Uint8Array): {
  readonly order: Uint32Array;
  readonly at: Float64Array;
  readonly part: PartTable;
} {
  const part = new PartTable(new Uint32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4));
  const at = new Float64Array(part.count);
  for (let i = 1; i < part.count; i++) at[i] = at[i - 1]! + part.length(i - 1);
  const order = Uint32Array.from({ length: part.count }, (_, i) => i).sort(
    (a, b) =>
      part.rank(a) - part.rank(b) ||
      part.unit(a) - part.unit(b) ||
      part.place(a) - part.place(b) ||
      part.copy(a) - part.copy(b),
  );
  return { order, at, part };
}

class PartTable {
  readonly count: number;
  private readonly words: Uint32Array;

  constructor(words: Uint32Array) {
    this.words = words;
    this.count = words.length / RECORD_WORDS;
  }

  rank = (i: number): number => this.words[i * RECORD_WORDS]! + this.words[i * RECORD_WORDS + 1]! * 2 ** 32;
  unit = (i: number): number => this.words[i * RECORD_WORDS + 2]!;
  place = (i: number): number => this.words[i * RECORD_WORDS + 3]! + this.words[i * RECORD_WORDS + 4]! * 2 ** 32;
  copy = (i: number): number => this.words[i * RECORD_WORDS + 5]!;
  length = (i: number): number => this.words[i * RECORD_WORDS + 6]!;
  source = (i: number): number => this.words[i * RECORD_WORDS + 7]!;
}
