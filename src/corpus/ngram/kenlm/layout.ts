/**
 * KenLM's binary files: where each part begins, computed from the header and checked against the file's size before anything is read.
 *
 *   magic, padded to 8 · f32 0, 1, −0.5 · u32 1, 2³²−1, 0 · u64 1          test values: another machine's file has others
 *   u8 order · f32 multiplier at 4 · u32 type at 8 · u8 has words at 12 · u32 version at 16 · u64 n-grams of each order · padded to 8
 *   probing  vocabulary (hashes) · unigrams · a hash table for each order
 *   trie     vocabulary (hashes) · bins of quantized values · unigrams · packed records for each order
 *   the words in order of their ids, each ended by a zero byte
 *
 * Little-endian throughout. Source  Heafield 2011, "KenLM: Faster and Smaller Language Model Queries"; the format of kenlm's lm/binary_format.
 */
import { FormatError } from '../../../base/errors.ts';
import type { ByteSource } from '../../../tensor/source.ts';

const MAGIC = 'mmap lm http://kheafield.com/code format version 5\n';
/** The magic, two zero bytes, and padding. */
const MAGIC_BYTES = 56;
const TEST_BYTES = 32;
const FIXED_BYTES = 20;
const MOST_ORDERS = 20;
/** Counts beyond this are damage; so many n-grams are a petabyte. */
const MOST_NGRAMS = 2 ** 45;
const MOST_WORDS = 2 ** 31;

const modelTypes = ['probing', 'rest', 'trie', 'quantized trie', 'array trie', 'quantized array trie'] as const;
const searchVersions = { probing: 0, rest: 0, trie: 1 } as const;

export interface KenlmHeader {
  readonly type: (typeof modelTypes)[number];
  /** n-grams of each order, blanks included. */
  readonly counts: readonly number[];
  /** Buckets of a hash table to an entry. */
  readonly multiplier: number;
  /** Where the vocabulary begins. */
  readonly headerBytes: number;
}

export function isKenlm(source: ByteSource): boolean {
  const start = new Uint8Array(Math.min(MAGIC.length, source.byteLength));
  source.readInto(start, 0);
  // The version comes last: another one is KenLM's, too, and is refused in words.
  const isSame = (end: number) => new TextDecoder().decode(start.subarray(0, end)) === MAGIC.slice(0, end);
  return isSame(MAGIC.indexOf('5'));
}

/** Throws FormatError `kenlm.…`. */
export function readHeader(source: ByteSource): KenlmHeader {
  const bytes = new Uint8Array(Math.min(source.byteLength, MAGIC_BYTES + TEST_BYTES + FIXED_BYTES + 8 * MOST_ORDERS));
  if (bytes.length < MAGIC_BYTES + TEST_BYTES + FIXED_BYTES)
    throw damaged(source, 'header', 'a whole header', `${bytes.length} bytes`);
  source.readInto(bytes, 0);
  const view = new DataView(bytes.buffer);
  const magic = new TextDecoder().decode(bytes.subarray(0, MAGIC.length));
  if (magic !== MAGIC) throw damaged(source, 'byte 0', 'version 5', JSON.stringify(magic.slice(-12)));
  const floats = [0, 1, 2].map((i) => view.getFloat32(MAGIC_BYTES + 4 * i, true));
  const words = [3, 4].map((i) => view.getUint32(MAGIC_BYTES + 4 * i, true));
  if (floats.join() !== '0,1,-0.5' || words.join() !== '1,4294967295')
    throw damaged(source, `byte ${MAGIC_BYTES}`, 'the test values of a little-endian machine', 'others');
  const fixed = MAGIC_BYTES + TEST_BYTES;
  const order = view.getUint8(fixed);
  if (!(order >= 2 && order <= MOST_ORDERS && bytes.length >= fixed + FIXED_BYTES + 8 * order))
    throw damaged(source, `byte ${fixed}`, `an order from 2 to ${MOST_ORDERS}`, String(order));
  const multiplier = view.getFloat32(fixed + 4, true);
  if (!(multiplier >= 1 && multiplier <= 1000))
    throw damaged(source, `byte ${fixed + 4}`, 'a multiplier from 1 to 1000', String(multiplier));
  const type = modelTypes[view.getUint32(fixed + 8, true)];
  if (type === undefined)
    throw damaged(source, `byte ${fixed + 8}`, 'a model type from 0 to 5', String(view.getUint32(fixed + 8, true)));
  const version = view.getUint32(fixed + 16, true);
  const expected = type === 'probing' || type === 'rest' ? searchVersions[type] : searchVersions.trie;
  if (version !== expected) throw damaged(source, `byte ${fixed + 16}`, `version ${expected}`, String(version));
  if (view.getUint8(fixed + 12) !== 1)
    throw damaged(source, `byte ${fixed + 12}`, 'a file with its words', 'one without', 'Build it with them.');
  const counts = Array.from({ length: order }, (_, i) => Number(view.getBigUint64(fixed + FIXED_BYTES + 8 * i, true)));
  for (const [i, count] of counts.entries())
    if (!(count <= (i === 0 ? MOST_WORDS : MOST_NGRAMS)) || (i === 0 && count === 0))
      throw damaged(source, `the count of order ${i + 1}`, 'one that a file can hold', String(count));
  return { type, counts, multiplier, headerBytes: align8(fixed + FIXED_BYTES + 8 * order) };
}

/** The words by id, from the place where they begin to the end of the file; the first is `<unk>`. Throws FormatError `kenlm.damaged`. */
export function readWords(source: ByteSource, at: number, count: number): string[] {
  if (at > source.byteLength)
    throw damaged(source, 'its end', `at least ${at} bytes, by its header`, `${source.byteLength}`, 'It is truncated.');
  const bytes = new Uint8Array(source.byteLength - at);
  source.readInto(bytes, at);
  const words = new TextDecoder().decode(bytes).split('\0');
  if (words.pop() !== '' || words.length !== count || words[0] !== '<unk>')
    throw damaged(
      source,
      `byte ${at}`,
      `${count} words, <unk> first`,
      `${words.length}, ${JSON.stringify(words[0])} first`,
    );
  return words;
}

export function damaged(
  source: ByteSource,
  where: string,
  expected: string,
  found: string,
  advice = 'The file is damaged, or of another version of KenLM; build it again from its ARPA file.',
): FormatError {
  return new FormatError(
    { code: 'kenlm.damaged', file: source.name, where },
    `expected ${expected}, found ${found}`,
    advice,
  );
}

export function align8(bytes: number): number {
  return Math.ceil(bytes / 8) * 8;
}
