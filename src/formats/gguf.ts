/**
 * GGUF, the file of llama.cpp: metadata, a table of tensors, and their bytes.
 *
 *   "GGUF" · u32 version · u64 tensor count · u64 field count
 *   fields:  string key · u32 type · value             (strings: u64 length · UTF-8; arrays: u32 type · u64 count · values)
 *   tensors: string name · u32 rank · u64 lengths, the innermost first · u32 type · u64 offset into the data
 *   padding to the alignment · data
 *
 * Versions 2 and 3, little-endian. Source  ggml-org/ggml docs/gguf.md. Writing is in gguf-write.ts.
 */
import { FormatError } from '../base/errors.ts';
import { type DType, dtypes } from '../tensor/dtype.ts';
import type { ByteSource } from '../tensor/source.ts';
import { Cursor } from './cursor.ts';
import { FileTensor } from './file-tensor.ts';
import { type GgufField, readField } from './gguf-values.ts';
import { show } from './json.ts';
import { checkedBytes, overlapping } from './layout-check.ts';

export const GGUF_MAGIC = 0x46554747; // "GGUF" as a little-endian u32
export const DEFAULT_ALIGNMENT = 32;
const LIMITS = { fields: 1 << 16, tensors: 1 << 17, nameBytes: 1 << 10, alignment: 1 << 16, rank: 4 } as const;
/** The least bytes a field or a tensor takes in the table: how many of them a file can hold at most. */
const LEAST = { fieldBytes: 13, tensorBytes: 24 } as const;

export interface Gguf {
  readonly version: number;
  readonly alignment: number;
  readonly fields: ReadonlyMap<string, GgufField>;
  readonly tensors: ReadonlyMap<string, FileTensor>;
}

/** Types that ggml has had and this reader does not decode, for the message. */
// biome-ignore format: a table
const foreignTypes: Readonly<Record<number, string>> = {
  4: 'Q4_2', 5: 'Q4_3', 9: 'Q8_1', 15: 'Q8_K', 31: 'Q4_0_4_4', 32: 'Q4_0_4_8', 33: 'Q4_0_8_8',
  36: 'IQ4_NL_4_4', 37: 'IQ4_NL_4_8', 38: 'IQ4_NL_8_8', 40: 'NVFP4',
};
const typeOf = new Map<number, DType>(
  (Object.entries(dtypes) as [DType, { gguf?: number }][]).flatMap(([dtype, { gguf }]) =>
    gguf === undefined ? [] : [[gguf, dtype] as const],
  ),
);

/** Reads metadata and table; the tensors stay in the file. Throws FormatError gguf.* */
export function readGguf(source: ByteSource): Gguf {
  const cursor = new Cursor(source);
  const version = readVersion(cursor);
  const tensorCount = readCount(cursor, 'tensors', LIMITS.tensors, LEAST.tensorBytes);
  const fieldCount = readCount(cursor, 'metadata fields', LIMITS.fields, LEAST.fieldBytes);

  const fields = new Map<string, GgufField>();
  for (let i = 0; i < fieldCount; i++) {
    const at = cursor.offset;
    const key = readName(cursor, `the key of field ${i}`);
    if (fields.has(key)) throw bad(source, 'duplicate-key', `byte ${at}`, `metadata field ${show(key)} is there twice`);
    fields.set(key, readField(cursor, key));
  }
  const alignment = readAlignment(source, fields);

  const entries: TableEntry[] = [];
  for (let i = 0; i < tensorCount; i++) entries.push(readTableEntry(cursor, i, alignment));
  const dataStart = Math.ceil(cursor.offset / alignment) * alignment;
  return { version, alignment, fields, tensors: placeTensors(source, entries, dataStart) };
}

function readVersion(cursor: Cursor): number {
  const { source } = cursor;
  if (!(cursor.bytesLeft >= 24)) {
    throw bad(source, 'too-short', 'byte 0', `expected at least 24 bytes, found ${source.byteLength}`);
  }
  const magic = cursor.u32();
  if (magic !== GGUF_MAGIC) {
    const found = `0x${magic.toString(16).padStart(8, '0')}`;
    throw bad(
      source,
      'magic',
      'byte 0',
      `expected the letters GGUF (0x46554747), found ${found}`,
      'This is no GGUF file.',
    );
  }
  const version = cursor.u32();
  if (version === 2 || version === 3) return version;
  if (version === 1) {
    throw bad(
      source,
      'version',
      'byte 4',
      'expected version 2 or 3, found 1',
      'Convert it again with a llama.cpp of this year.',
    );
  }
  if (version > 0 && (version & 0xffff) === 0) {
    throw bad(
      source,
      'big-endian',
      'byte 4',
      'expected a little-endian file, found a big-endian one',
      "Convert it with llama.cpp's gguf_convert_endian.py.",
    );
  }
  throw bad(
    source,
    'version',
    'byte 4',
    `expected version 2 or 3, found ${version}`,
    'The file is newer than this reader, or damaged.',
  );
}

/** A count that the bytes that follow could hold. */
function readCount(cursor: Cursor, what: string, limit: number, leastBytes: number): number {
  const at = cursor.offset;
  const count = cursor.u64();
  const most = Math.min(limit, Math.floor(cursor.bytesLeft / leastBytes));
  if (!(count <= most)) {
    throw bad(
      cursor.source,
      'count',
      `byte ${at}`,
      `expected at most ${most} ${what} in a file of this size, found ${count}`,
    );
  }
  return count;
}

function readName(cursor: Cursor, what: string): string {
  const at = cursor.offset;
  const length = cursor.u64();
  if (!(length <= LIMITS.nameBytes)) {
    throw bad(
      cursor.source,
      'name-length',
      `byte ${at}`,
      `expected ${what} in at most ${LIMITS.nameBytes} bytes, found length ${length}`,
    );
  }
  return cursor.text(length, what);
}

function readAlignment(source: ByteSource, fields: ReadonlyMap<string, GgufField>): number {
  const field = fields.get('general.alignment');
  if (field === undefined) return DEFAULT_ALIGNMENT;
  const { value } = field;
  if (!(typeof value === 'number' && value >= 1 && value <= LIMITS.alignment && Number.isInteger(Math.log2(value)))) {
    throw bad(
      source,
      'alignment',
      'general.alignment',
      `expected a power of two up to ${LIMITS.alignment}, found ${show(value)}`,
    );
  }
  return value;
}

interface TableEntry {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly byteLength: number;
}

function readTableEntry(cursor: Cursor, index: number, alignment: number): TableEntry {
  const { source } = cursor;
  const name = readName(cursor, `the name of tensor ${index}`);
  const where = `tensor ${show(name)}`;
  const rank = cursor.u32();
  if (!(rank <= LIMITS.rank))
    throw bad(source, 'rank', where, `expected at most ${LIMITS.rank} dimensions, found ${rank}`);
  const shape = Array.from({ length: rank }, () => cursor.u64()).reverse();
  const type = cursor.u32();
  const dtype = typeOf.get(type);
  if (dtype === undefined) {
    const known = [...typeOf.values()].join(' ');
    const found =
      foreignTypes[type] === undefined ? `type number ${type}` : `${foreignTypes[type]} (type number ${type})`;
    throw bad(
      source,
      'tensor-type',
      where,
      `expected one of ${known}, found ${found}`,
      'Use another quantization of this model, such as Q4_K_M or Q8_0.',
    );
  }
  const byteLength = checkedBytes(dtype, shape);
  if (typeof byteLength === 'string') throw bad(source, 'shape', where, byteLength);
  const offset = cursor.u64();
  if (offset % alignment !== 0) {
    throw bad(source, 'misaligned', where, `expected an offset that is a multiple of ${alignment}, found ${offset}`);
  }
  return { name, dtype, shape, offset, byteLength };
}

function placeTensors(source: ByteSource, entries: readonly TableEntry[], dataStart: number): Map<string, FileTensor> {
  const tensors = new Map<string, FileTensor>();
  for (const { name, dtype, shape, offset, byteLength } of entries) {
    const where = `tensor ${show(name)}`;
    if (tensors.has(name)) throw bad(source, 'duplicate-tensor', where, 'it is in the table twice');
    const end = dataStart + offset + byteLength;
    if (!(end <= source.byteLength)) {
      throw bad(
        source,
        'truncated',
        where,
        `expected its ${byteLength} bytes to end at ${end}, but the file ends at ${source.byteLength}`,
        "The download is incomplete: compare its size with the source's.",
      );
    }
    tensors.set(name, new FileTensor(source, name, dtype, shape, dataStart + offset));
  }
  const pair = overlapping(tensors.values());
  if (pair) {
    throw bad(
      source,
      'overlap',
      `byte ${pair[1].byteOffset}`,
      `tensors ${show(pair[0].name)} and ${show(pair[1].name)} overlap`,
    );
  }
  return tensors;
}

const damaged = 'The file is damaged; download or convert it again.';

function bad(source: ByteSource, what: string, where: string, problem: string, advice: string = damaged): FormatError {
  return new FormatError({ code: `gguf.${what}`, file: source.name, where }, problem, advice);
}
