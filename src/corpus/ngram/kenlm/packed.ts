/** KenLM's tries: records of a few bits, one after the other, sorted by the words before; each says where its longer n-grams begin. */
import type { ByteSource } from '../../../tensor/source.ts';
import { NgramBuilder } from '../builder.ts';
import type { NgramModel } from '../model.ts';
import { align8, damaged, type KenlmHeader, readWords } from './layout.ts';

/** A unigram: f32 probability · f32 backoff · u64 where its bigrams begin. One for <unk> where it is missing, one for the end. */
const UNIGRAM_BYTES = 16;
/** Packed records may be read eight bytes at a time: so many follow them. */
const PADDING_BYTES = 8;
const PROBABILITY_BITS = 31;
const BACKOFF_BITS = 32;
const QUANT_VERSION = 2;
const ARRAY_VERSION = 0;

/** Reads a trie, with or without quantization and array-compressed pointers. Throws FormatError `kenlm.damaged`. */
export function readKenlmTrie(source: ByteSource, { type, counts, headerBytes }: KenlmHeader): NgramModel {
  const wordCount = counts[0]!;
  const order = counts.length;
  let at = headerBytes + 8 + 8 * wordCount;
  const read = (bytes: number, what: string): Uint8Array => {
    if (!(at + bytes <= source.byteLength))
      throw damaged(source, `byte ${at}`, `${bytes} bytes of ${what}`, `${Math.max(0, source.byteLength - at)}`);
    const part = new Uint8Array(bytes);
    source.readInto(part, at);
    at += bytes;
    return part;
  };
  const quant = type.startsWith('quantized') ? readBins(source, order, at, read) : undefined;
  const unigrams = new DataView(read((wordCount + 2) * UNIGRAM_BYTES, 'unigrams').buffer);
  const wordBits = bitsFor(wordCount);
  const chopBits = type.includes('array') && order > 2 ? readArrayBits(source, at) : undefined;
  const levels: Level[] = [];
  for (let n = 2; n < order; n++) {
    const entries = counts[n - 1]!;
    const mostNext = counts[n]!;
    const chop = chopBits === undefined ? 0 : chopped(entries + 1, mostNext, chopBits);
    const nextBits = bitsFor(mostNext) - chop;
    const valueBits = quant ? quant.probabilityBits + quant.backoffBits : PROBABILITY_BITS + BACKOFF_BITS;
    let high: BigUint64Array | undefined;
    if (chopBits !== undefined) {
      const length = Math.floor(mostNext / 2 ** (bitsFor(mostNext) - chop)) + 1;
      const base = at;
      const region = read(8 * (1 + length) + 7, `pointers of order ${n}`);
      const begin = align8(base) - base + 8;
      high = new BigUint64Array(region.slice(begin, begin + 8 * length).buffer);
    }
    const recordBits = wordBits + valueBits + nextBits;
    const bits = new Bits(read(Math.floor(((1 + entries) * recordBits + 7) / 8) + PADDING_BYTES, `order ${n}`));
    levels.push({
      bits,
      entries,
      recordBits,
      wordBits,
      valueBits,
      nextBits,
      high,
      bins: quant?.tables[n - 2],
      isLongest: false,
    });
  }
  const valueBits = quant ? quant.probabilityBits : PROBABILITY_BITS;
  const recordBits = wordBits + valueBits;
  const entries = counts.at(-1)!;
  const bits = new Bits(read(Math.floor(((1 + entries) * recordBits + 7) / 8) + PADDING_BYTES, `order ${order}`));
  levels.push({
    bits,
    entries,
    recordBits,
    wordBits,
    valueBits,
    nextBits: 0,
    high: undefined,
    bins: quant?.tables.at(-1),
    isLongest: true,
  });
  const words = readWords(source, at, wordCount);
  return build(source, words, unigrams, levels, counts);
}

/** The records of an order: its n-grams by their last words, the words before sorted. */
interface Level {
  readonly bits: Bits;
  readonly entries: number;
  /** word · value · pointer */
  readonly recordBits: number;
  readonly wordBits: number;
  readonly valueBits: number;
  readonly nextBits: number;
  /** The high bits of pointers: where each value of theirs begins. */
  readonly high: BigUint64Array | undefined;
  readonly bins: Bins | undefined;
  readonly isLongest: boolean;
}

interface Bins {
  readonly probabilities: Float32Array;
  readonly backoffs: Float32Array | undefined;
  readonly backoffBits: number;
}

function build(
  source: ByteSource,
  words: readonly string[],
  unigrams: DataView,
  levels: readonly Level[],
  counts: readonly number[],
): NgramModel {
  const total = counts.reduce((sum, count) => sum + count, 0);
  const builder = new NgramBuilder(counts.length, Math.min(total, 1 << 24));
  const ids = words.map((word) => builder.wordId(word));
  const path: number[] = [];
  let visited: number[] = [];
  const firstBigram = (word: number) => Number(unigrams.getBigUint64(word * UNIGRAM_BYTES + 8, true));
  /** All n-grams of one length below a range of records; the path's last words come first. */
  const visit = (depth: number, begin: number, end: number, wanted: number): void => {
    const level = levels[depth]!;
    if (!(begin <= end && end <= level.entries))
      throw damaged(source, `order ${depth + 2}`, `a range of ${level.entries} records`, `${begin} to ${end}`);
    // Each record has one place: a file where many lead to it would be walked for ever.
    visited[depth] = (visited[depth] ?? 0) + end - begin;
    if (visited[depth]! > level.entries)
      throw damaged(source, `order ${depth + 2}`, 'ranges side by side', 'some that overlap');
    for (let record = begin; record < end; record++) {
      const word = ids[level.bits.read(record * level.recordBits, level.wordBits)];
      if (word === undefined) throw damaged(source, `order ${depth + 2}`, `words below ${words.length}`, 'another');
      path.push(word);
      if (depth + 2 === wanted) {
        const { probability, backoff } = weightsOf(level, record);
        if (!(probability <= 0)) throw damaged(source, `order ${wanted}`, 'a log probability', String(probability));
        builder.add([...path].reverse(), wanted, probability, backoff);
      } else visit(depth + 1, nextOf(level, record), nextOf(level, record + 1), wanted);
      path.pop();
    }
  };
  for (const [word, id] of ids.entries()) {
    const probability = unigrams.getFloat32(word * UNIGRAM_BYTES, true);
    if (!(probability <= 0)) throw damaged(source, 'unigrams', 'a log probability', String(probability));
    builder.add([id], 1, probability, unigrams.getFloat32(word * UNIGRAM_BYTES + 4, true));
  }
  for (let length = 2; length <= counts.length; length++) {
    visited = [];
    for (const [word, id] of ids.entries()) {
      path.push(id);
      visit(0, firstBigram(word), firstBigram(word + 1), length);
      path.pop();
    }
  }
  return builder.finish();
}

function weightsOf(level: Level, record: number): { readonly probability: number; readonly backoff: number } {
  const { bits, bins, recordBits, wordBits, valueBits, isLongest } = level;
  const at = record * recordBits + wordBits;
  if (!bins) {
    const probability = floatOf(bits.read(at, PROBABILITY_BITS) + 2 ** 31);
    return { probability, backoff: isLongest ? 0 : floatOf(bits.read(at + PROBABILITY_BITS, BACKOFF_BITS)) };
  }
  const { probabilities, backoffs, backoffBits } = bins;
  if (!backoffs) return { probability: probabilities[bits.read(at, valueBits)]!, backoff: 0 };
  const probability = probabilities[bits.read(at + backoffBits, valueBits - backoffBits)]!;
  return { probability, backoff: backoffs[bits.read(at, backoffBits)]! };
}

/** Where the longer n-grams of a record begin; those of the record after it are where they end. */
function nextOf({ bits, recordBits, nextBits, high }: Level, record: number): number {
  const low = bits.read((record + 1) * recordBits - nextBits, nextBits);
  if (!high) return low;
  // The last value that begins at this record or before.
  let first = 0;
  let end = high.length;
  while (end - first > 1) {
    const middle = (first + end) >>> 1;
    if (high[middle]! <= BigInt(record)) first = middle;
    else end = middle;
  }
  return first * 2 ** nextBits + low;
}

/** u8 version, bits of probabilities, bits of backoffs, padded to 8; for each order its bins: probabilities, then backoffs, which the longest has not. */
function readBins(
  source: ByteSource,
  order: number,
  at: number,
  read: (bytes: number, what: string) => Uint8Array,
): { readonly probabilityBits: number; readonly backoffBits: number; readonly tables: readonly Bins[] } {
  const [version, probabilityBits = 0, backoffBits = 0] = read(8, 'quantization');
  const isSound = (bits: number) => bits >= 1 && bits <= 25;
  if (version !== QUANT_VERSION || !isSound(probabilityBits) || !isSound(backoffBits))
    throw damaged(
      source,
      `byte ${at}`,
      `version ${QUANT_VERSION} and 1 to 25 bits`,
      `${version}, ${probabilityBits} and ${backoffBits}`,
    );
  const table = (bits: number) => new Float32Array(read(4 * 2 ** bits, 'bins').buffer);
  const tables: Bins[] = [];
  for (let n = 2; n < order; n++)
    tables.push({ probabilities: table(probabilityBits), backoffs: table(backoffBits), backoffBits });
  tables.push({ probabilities: table(probabilityBits), backoffs: undefined, backoffBits });
  return { probabilityBits, backoffBits, tables };
}

/** The most bits that pointers may leave to an array, as the file was built. */
function readArrayBits(source: ByteSource, at: number): number {
  const head = new Uint8Array(2);
  if (at + 2 > source.byteLength) throw damaged(source, `byte ${at}`, 'pointers', 'the end of the file');
  source.readInto(head, at);
  if (head[0] === ARRAY_VERSION) return head[1]!;
  throw damaged(source, `byte ${at}`, `array version ${ARRAY_VERSION}`, String(head[0]));
}

/** How many high bits of the pointers are in an array: as many as make the whole smallest. `pointers` of values up to `mostNext`. */
export function chopped(pointers: number, mostNext: number, mostBits: number): number {
  const required = bitsFor(mostNext);
  let best = 0;
  let smallest = Number.POSITIVE_INFINITY;
  for (let chop = 0; chop <= Math.min(required, mostBits); chop++) {
    const change = Math.floor(mostNext / 2 ** (required - chop)) * 64 - pointers * chop;
    if (change >= smallest) continue;
    smallest = change;
    best = chop;
  }
  return best;
}

/** Bits that numbers up to this one need. */
export function bitsFor(most: number): number {
  let bits = 0;
  for (let rest = most; rest >= 1; rest = Math.floor(rest / 2)) bits++;
  return bits;
}

/** Numbers of up to 45 bits at any bit, least significant bits first. */
class Bits {
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  read(offset: number, count: number): number {
    let at = Math.floor(offset / 8);
    const skipped = offset - 8 * at;
    let value = (this.bytes[at++] ?? 0) >>> skipped;
    for (let have = 8 - skipped; have < count; have += 8) value += (this.bytes[at++] ?? 0) * 2 ** have;
    return value % 2 ** count;
  }
}

const word = new DataView(new ArrayBuffer(4));

function floatOf(bits: number): number {
  word.setUint32(0, bits);
  return word.getFloat32(0);
}
