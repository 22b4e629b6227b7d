/**
 * safetensors: one file of named tensors.
 *
 *   u64 header length · header JSON · tensor bytes without gaps
 *   header: { "name": { "dtype": "F32", "shape": [2, 3], "data_offsets": [begin, end] }, …, "__metadata__": { text: text } }
 *
 * Source  huggingface/safetensors README, "Format". Writing is in safetensors-write.ts, several files in safetensors-index.ts.
 */
import { FormatError } from '../base/errors.ts';
import { type DType, dtypes } from '../tensor/dtype.ts';
import type { ByteSource } from '../tensor/source.ts';
import { formatShape } from '../tensor/tensor.ts';
import { decodeUtf8 } from './cursor.ts';
import { FileTensor } from './file-tensor.ts';
import { isObject, type Json, parseJsonObject, show } from './json.ts';
import { checkedBytes, overlapping } from './layout-check.ts';

export const LENGTH_BYTES = 8;
/** The limit that the reference implementation sets too. */
export const HEADER_LIMIT_BYTES = 100_000_000;

export interface Safetensors {
  readonly tensors: ReadonlyMap<string, FileTensor>;
  readonly metadata: ReadonlyMap<string, string>;
}

const typeOf = new Map<string, DType>(
  (Object.entries(dtypes) as [DType, { safetensors?: string }][]).flatMap(([dtype, row]) =>
    row.safetensors === undefined ? [] : [[row.safetensors, dtype] as const],
  ),
);

/** Reads the header; the tensors stay in the file. Throws FormatError safetensors.* */
export function readSafetensors(source: ByteSource): Safetensors {
  const headerBytes = readHeaderLength(source);
  const bytes = new Uint8Array(headerBytes);
  source.readInto(bytes, LENGTH_BYTES);
  const header = parseJsonObject(source.name, decodeUtf8(bytes, source.name, LENGTH_BYTES, 'a header'), 'header');
  const dataStart = LENGTH_BYTES + headerBytes;

  const tensors = new Map<string, FileTensor>();
  const metadata = new Map<string, string>();
  for (const [name, entry] of Object.entries(header)) {
    if (name === '__metadata__') readMetadata(source, metadata, entry);
    else tensors.set(name, readEntry(source, name, entry, dataStart));
  }
  checkLayout(source, tensors, dataStart);
  return { tensors, metadata };
}

function readHeaderLength(source: ByteSource): number {
  if (!(source.byteLength >= LENGTH_BYTES)) {
    throw bad(
      source,
      'too-short',
      'byte 0',
      `expected at least ${LENGTH_BYTES} bytes, found ${source.byteLength}`,
      'Is this a Git LFS pointer or an empty download?',
    );
  }
  const length = new Uint8Array(LENGTH_BYTES);
  source.readInto(length, 0);
  const headerBytes = new DataView(length.buffer).getBigUint64(0, true);
  const bytesLeft = source.byteLength - LENGTH_BYTES;
  if (!(headerBytes <= BigInt(Math.min(bytesLeft, HEADER_LIMIT_BYTES)))) {
    const limit = bytesLeft < HEADER_LIMIT_BYTES ? `the ${bytesLeft} that follow` : `${HEADER_LIMIT_BYTES}`;
    throw bad(
      source,
      'header-length',
      'byte 0',
      `expected a header of at most ${limit} bytes, found length ${headerBytes}`,
      "The file is truncated or not safetensors; compare its size with the source's.",
    );
  }
  return Number(headerBytes);
}

function readMetadata(source: ByteSource, metadata: Map<string, string>, entry: Json): void {
  if (!isObject(entry)) {
    throw bad(source, 'metadata', '__metadata__', `expected an object of texts, found ${show(entry)}`, damaged);
  }
  for (const [key, value] of Object.entries(entry)) {
    if (typeof value !== 'string') {
      throw bad(source, 'metadata', `__metadata__.${key}`, `expected a text, found ${show(value)}`, damaged);
    }
    metadata.set(key, value);
  }
}

function readEntry(source: ByteSource, name: string, entry: Json, dataStart: number): FileTensor {
  const where = `tensor ${show(name)}`;
  if (!isObject(entry)) throw bad(source, 'entry', where, `expected an object, found ${show(entry)}`, damaged);
  const { dtype: typeName, shape, data_offsets: offsets } = entry;
  const dtype = typeof typeName === 'string' ? typeOf.get(typeName) : undefined;
  if (dtype === undefined) {
    throw bad(
      source,
      'dtype',
      where,
      `expected a dtype among ${[...typeOf.keys()].join(' ')}, found ${show(typeName ?? null)}`,
      'Convert the file to F16, BF16 or F32 with the tool that made it.',
    );
  }
  if (!isCounts(shape))
    throw bad(source, 'shape', where, `expected a shape of whole numbers, found ${show(shape ?? null)}`, damaged);
  if (!(isCounts(offsets) && offsets.length === 2 && offsets[0]! <= offsets[1]!)) {
    throw bad(source, 'offsets', where, `expected data_offsets [begin, end], found ${show(offsets ?? null)}`, damaged);
  }
  const [begin, end] = offsets as [number, number];
  const bytes = checkedBytes(dtype, shape);
  if (typeof bytes === 'string') throw bad(source, 'shape', where, bytes, damaged);
  if (bytes !== end - begin) {
    throw bad(
      source,
      'tensor-length',
      where,
      `expected ${bytes} bytes for ${typeName} ${formatShape(shape)}, found data_offsets of ${end - begin}`,
      damaged,
    );
  }
  if (!(dataStart + end <= source.byteLength)) {
    throw bad(
      source,
      'truncated',
      where,
      `expected its bytes to end at ${dataStart + end}, but the file ends at ${source.byteLength}`,
      "The download is incomplete: compare its size with the source's.",
    );
  }
  return new FileTensor(source, name, dtype, shape, dataStart + begin);
}

/** The tensors fill everything after the header, once. */
function checkLayout(source: ByteSource, tensors: ReadonlyMap<string, FileTensor>, dataStart: number): void {
  const pair = overlapping(tensors.values());
  if (pair) {
    throw bad(
      source,
      'overlap',
      `byte ${pair[1].byteOffset}`,
      `tensors ${show(pair[0].name)} and ${show(pair[1].name)} overlap`,
      damaged,
    );
  }
  let used = 0;
  for (const { byteLength } of tensors.values()) used += byteLength;
  const held = source.byteLength - dataStart;
  if (used !== held) {
    throw bad(
      source,
      'gap',
      `byte ${dataStart}`,
      `expected the tensors to fill the ${held} bytes after the header, found ${used} bytes of tensors`,
      'The file is damaged, or something was appended to it.',
    );
  }
}

function isCounts(value: Json | undefined): value is readonly number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && (n as number) >= 0);
}

const damaged = 'The header is damaged; download or write the file again.';

function bad(source: ByteSource, what: string, where: string, problem: string, advice: string): FormatError {
  return new FormatError({ code: `safetensors.${what}`, file: source.name, where }, problem, advice);
}
