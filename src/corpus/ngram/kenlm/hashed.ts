/**
 * KenLM's probing models: the n-grams of each order in a hash table by the hash of their words, so that they can be looked up but not listed. So they are
 * scored as they lie, by Katz's formula (ngram/model.ts), with the longest match found first: from the last word backwards.
 *
 *   unigrams   probability · backoff [· rest cost]                    by id
 *   middle     u64 hash · probability · backoff [· rest cost]         linear probing from hash mod buckets; hash 0 is empty
 *   longest    u64 hash · probability
 *
 * The sign of a probability says whether n-grams end with this one; it is negative anyway. Rest costs are for machine translation and not used.
 */
import type { ByteSource } from '../../../tensor/source.ts';
import { BEGIN_SENTENCE, END_SENTENCE } from '../model.ts';
import { NgramHash } from './hash64.ts';
import { damaged, type KenlmHeader, readWords } from './layout.ts';

/** Where things lie in the tables, in units of four bytes. */
export interface HashedLayout {
  /** 2, or 3 with rest costs. */
  readonly valueUnits: number;
  /** For each order from 2 on. */
  readonly tables: readonly HashTable[];
}

interface HashTable {
  readonly start: number;
  readonly buckets: number;
  readonly entryUnits: number;
}

export interface HashedParts {
  readonly order: number;
  readonly size: number;
  readonly words: readonly string[];
  readonly columns: { readonly units: Uint32Array };
  readonly layout: HashedLayout;
}

const VOCABULARY_HEADER_BYTES = 8;
const VOCABULARY_ENTRY_BYTES = 12;

/** Throws FormatError `kenlm.damaged`. */
export function readKenlmHashed(
  source: ByteSource,
  { type, counts, multiplier, headerBytes }: KenlmHeader,
): HashedNgramModel {
  const order = counts.length;
  const bucketsOf = (entries: number) =>
    Math.max(entries + 1, Math.floor(Math.fround(Math.fround(multiplier) * Math.fround(entries))));
  const valueUnits = type === 'rest' ? 3 : 2;
  const begin = headerBytes + VOCABULARY_HEADER_BYTES + VOCABULARY_ENTRY_BYTES * bucketsOf(counts[0]!);
  let units = (counts[0]! + 1) * valueUnits;
  const tables: HashTable[] = [];
  for (let n = 2; n <= order; n++) {
    const buckets = bucketsOf(counts[n - 1]!);
    const entryUnits = n === order ? 3 : 2 + valueUnits;
    tables.push({ start: units, buckets, entryUnits });
    units += buckets * entryUnits;
  }
  const end = begin + 4 * units;
  if (!(end <= source.byteLength))
    throw damaged(
      source,
      'its end',
      `at least ${end} bytes, by its header`,
      `${source.byteLength}`,
      'It is truncated.',
    );
  const bound = new Uint32Array(2);
  source.readInto(new Uint8Array(bound.buffer), headerBytes);
  if (bound[0] !== 0) throw damaged(source, `byte ${headerBytes}`, 'vocabulary version 0', String(bound[0]));
  if (!(bound[1]! <= counts[0]! + 1))
    throw damaged(source, `byte ${headerBytes + 4}`, `at most ${counts[0]! + 1} words`, String(bound[1]));
  const words = readWords(source, end, bound[1]!);
  const memory = new Uint32Array(units);
  source.readInto(new Uint8Array(memory.buffer), begin);
  const size = counts.reduce((sum, count) => sum + count, 0);
  return new HashedNgramModel({ order, size, words, columns: { units: memory }, layout: { valueUnits, tables } });
}

export class HashedNgramModel {
  readonly parts: HashedParts;
  readonly order: number;
  readonly size: number;
  private readonly units: Uint32Array;
  private readonly floats: Float32Array;
  private readonly wordIds: ReadonlyMap<string, number>;
  private readonly hash = new NgramHash();

  constructor(parts: HashedParts) {
    this.parts = parts;
    this.order = parts.order;
    this.size = parts.size;
    const { units } = parts.columns;
    this.units = units;
    this.floats = new Float32Array(units.buffer, units.byteOffset, units.length);
    this.wordIds = new Map(parts.words.map((word, id) => [word, id]));
  }

  /** The id that a word scores by: its own, or that of <unk>, which is 0. */
  scoringId(word: string): number {
    return this.wordIds.get(word) ?? 0;
  }

  /** Words of the n-gram that gave the last score. */
  lastLength = 0;

  /** log10 p(word | context), the context's last word first. */
  scoreNext(context: ArrayLike<number>, contextLength: number, word: number): number {
    const { floats, hash } = this;
    const { valueUnits, tables } = this.parts.layout;
    const most = Math.min(contextLength, this.order - 1);
    let score = -Math.abs(floats[word * valueUnits]!);
    let length = 1;
    hash.begin(word);
    while (length <= most) {
      hash.extend(context[length - 1]!);
      const at = this.find(tables[length - 1]!);
      if (at < 0) break;
      score = -Math.abs(floats[at]!);
      length++;
    }
    this.lastLength = length;
    // The backoffs of all contexts that are longer than the one that was found.
    hash.begin(most > 0 ? context[0]! : 0);
    for (let n = 1; n <= most; n++) {
      let at = context[0]! * valueUnits;
      if (n > 1) {
        hash.extend(context[n - 1]!);
        at = this.find(tables[n - 2]!);
        if (at < 0) break;
      }
      if (n >= length) score += floats[at + 1]!;
    }
    return score;
  }

  /** As NgramModel.scoreIds. */
  scoreIds(ids: Int32Array): number {
    const context: number[] = [];
    const push = (id: number) => {
      context.unshift(id);
      if (context.length >= this.order) context.pop();
    };
    const begin = this.scoringId(BEGIN_SENTENCE);
    if (begin !== 0) push(begin);
    let sum = 0;
    for (const id of ids) {
      sum += this.scoreNext(context, context.length, id);
      push(id);
    }
    return sum + this.scoreNext(context, context.length, this.scoringId(END_SENTENCE));
  }

  score(words: readonly string[]): number {
    return this.scoreIds(Int32Array.from(words, (word) => this.scoringId(word)));
  }

  /** Where the values of the hash are, or −1. */
  private find({ start, buckets, entryUnits }: HashTable): number {
    const { units, hash } = this;
    let bucket = hash.modulo(buckets);
    for (let visited = 0; visited < buckets; visited++) {
      const at = start + bucket * entryUnits;
      const low = units[at]!;
      const high = units[at + 1]!;
      if (low === hash.low && high === hash.high) return at + 2;
      if (low === 0 && high === 0) return -1;
      if (++bucket === buckets) bucket = 0;
    }
    return -1;
  }
}
