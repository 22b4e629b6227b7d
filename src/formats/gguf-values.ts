/** The metadata values of a GGUF file, typed as the file types them, so that what was read can be written again. */
import { FormatError } from '../base/errors.ts';
import type { Cursor } from './cursor.ts';
import { show } from './json.ts';
import type { GgufArray, GgufValue } from './tokenizer-files.ts';

/** The value types of GGUF, in the order of their numbers. */
// biome-ignore format: a table
export const ggufTypes = [
  'u8', 'i8', 'u16', 'i16', 'u32', 'i32', 'f32', 'bool', 'string', 'array', 'u64', 'i64', 'f64',
] as const;
export type GgufType = (typeof ggufTypes)[number];

export interface GgufField {
  readonly type: GgufType;
  readonly value: GgufValue;
}

const LIMITS = { stringBytes: 1 << 26, arrayLength: 1 << 24, depth: 4, nestedArrays: 1 << 16 } as const;

/** Array constructors of the number types; element type and array class stand for each other. */
// biome-ignore format: a table
export const ggufArrays = {
  u8: Uint8Array, i8: Int8Array, u16: Uint16Array, i16: Int16Array, u32: Uint32Array, i32: Int32Array,
  f32: Float32Array, u64: BigUint64Array, i64: BigInt64Array, f64: Float64Array,
} as const;
type NumberType = keyof typeof ggufArrays;

export function readField(cursor: Cursor, key: string): GgufField {
  const type = readType(cursor, key);
  return { type, value: type === 'array' ? readArray(cursor, key, 1) : readScalar(cursor, type, key) };
}

function readType(cursor: Cursor, key: string): GgufType {
  const at = cursor.offset;
  const number = cursor.u32();
  const type = ggufTypes[number];
  if (type === undefined) {
    throw bad(
      cursor,
      'value-type',
      at,
      `expected a value type in 0…${ggufTypes.length - 1} for ${show(key)}, found ${number}`,
    );
  }
  return type;
}

function readScalar(cursor: Cursor, type: Exclude<GgufType, 'array'>, key: string): GgufValue {
  switch (type) {
    case 'u8':
      return cursor.u8();
    case 'i8':
      return (cursor.u8() << 24) >> 24;
    case 'u16':
      return cursor.u16();
    case 'i16':
      return (cursor.u16() << 16) >> 16;
    case 'u32':
      return cursor.u32();
    case 'i32':
      return cursor.i32();
    case 'f32':
      return cursor.f32();
    case 'f64':
      return cursor.f64();
    case 'u64':
      return narrow(cursor.bigU64());
    case 'i64':
      return narrow(cursor.bigI64());
    case 'bool':
      return readBool(cursor, key);
    case 'string':
      return readString(cursor, key);
    default:
      return type satisfies never;
  }
}

function narrow(value: bigint): number | bigint {
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : value;
}

function readBool(cursor: Cursor, key: string): boolean {
  const at = cursor.offset;
  const byte = cursor.u8();
  if (byte > 1) throw bad(cursor, 'bool', at, `expected 0 or 1 for ${show(key)}, found ${byte}`);
  return byte === 1;
}

function readString(cursor: Cursor, key: string): string {
  const length = cursor.u64();
  if (!(length <= LIMITS.stringBytes && length <= cursor.bytesLeft)) {
    const most = Math.min(cursor.bytesLeft, LIMITS.stringBytes);
    const problem = `expected a string of at most ${most} bytes for ${show(key)}, found length ${length}`;
    throw bad(cursor, 'string-length', cursor.offset - 8, problem);
  }
  return cursor.text(length, key);
}

function readArray(cursor: Cursor, key: string, depth: number): GgufArray {
  if (!(depth <= LIMITS.depth)) {
    throw bad(
      cursor,
      'array-depth',
      cursor.offset,
      `expected arrays nested at most ${LIMITS.depth} deep in ${show(key)}, found more`,
    );
  }
  const type = readType(cursor, key);
  const at = cursor.offset;
  const count = cursor.u64();
  const leastBytes = { string: 8, array: 12, bool: 1 } as Partial<Record<GgufType, number>>;
  const bytesEach = type in ggufArrays ? ggufArrays[type as NumberType].BYTES_PER_ELEMENT : leastBytes[type]!;
  const limit = type === 'array' ? LIMITS.nestedArrays >> (4 * depth) : LIMITS.arrayLength;
  const most = Math.min(limit, Math.floor(cursor.bytesLeft / bytesEach));
  if (!(count <= most)) {
    throw bad(cursor, 'array-length', at, `expected at most ${most} values in ${show(key)}, found length ${count}`);
  }
  if (type === 'string') return Array.from({ length: count }, () => readString(cursor, key));
  if (type === 'bool') return Array.from({ length: count }, () => readBool(cursor, key));
  if (type === 'array') return Array.from({ length: count }, () => readArray(cursor, key, depth + 1));
  return new ggufArrays[type as NumberType](cursor.bytes(count * bytesEach).buffer);
}

function bad(cursor: Cursor, what: string, offset: number, problem: string): FormatError {
  const place = { code: `gguf.${what}`, file: cursor.source.name, where: `byte ${offset}` };
  return new FormatError(place, problem, 'The file is damaged; download or convert it again.');
}
