/** Writes GGUF version 3, little-endian: metadata and table first, then the tensors as a stream. */
import { ArgumentError } from '../base/errors.ts';
import { dtypes } from '../tensor/dtype.ts';
import { tensorBytes } from './file-tensor.ts';
import { DEFAULT_ALIGNMENT, GGUF_MAGIC } from './gguf.ts';
import { type GgufField, type GgufType, ggufArrays, ggufTypes } from './gguf-values.ts';
import type { NamedTensor } from './safetensors-write.ts';
import { type Sink, writeTensor } from './sink.ts';
import type { GgufArray, GgufValue } from './tokenizer-files.ts';

const VERSION = 3;

/** `fields` are written in their order; general.alignment among them is honoured. */
export function writeGguf(sink: Sink, fields: ReadonlyMap<string, GgufField>, tensors: readonly NamedTensor[]): void {
  const alignment = Number(fields.get('general.alignment')?.value ?? DEFAULT_ALIGNMENT);
  const head = new Bytes();
  head.u32(GGUF_MAGIC);
  head.u32(VERSION);
  head.u64(tensors.length);
  head.u64(fields.size);
  for (const [key, { type, value }] of fields) {
    head.text(key);
    head.u32(ggufTypes.indexOf(type));
    writeValue(head, type, value);
  }
  let offset = 0;
  for (const [name, { dtype, shape }] of tensors) {
    const row = dtypes[dtype];
    if (!('gguf' in row)) {
      throw new ArgumentError(
        'gguf.dtype',
        `${name}: expected a type that GGUF has, found ${dtype}. Convert it to f32 or f16`,
      );
    }
    head.text(name);
    head.u32(shape.length);
    for (const length of [...shape].reverse()) head.u64(length);
    head.u32(row.gguf);
    head.u64(offset);
    offset = padded(offset + tensorBytes({ dtype, shape }), alignment);
  }
  sink.write(head.take());
  sink.write(new Uint8Array(padded(head.length, alignment) - head.length));
  for (const [, tensor] of tensors) {
    writeTensor(sink, tensor);
    const bytes = tensorBytes(tensor);
    sink.write(new Uint8Array(padded(bytes, alignment) - bytes));
  }
}

function padded(length: number, alignment: number): number {
  return Math.ceil(length / alignment) * alignment;
}

function writeValue(head: Bytes, type: GgufType, value: GgufValue): void {
  if (type === 'string') head.text(String(value));
  else if (type === 'bool') head.raw(Uint8Array.of(value ? 1 : 0));
  else if (type === 'array') writeArray(head, value as GgufArray);
  else {
    const number = type === 'u64' || type === 'i64' ? BigInt(value as number | bigint) : Number(value);
    const array = ggufArrays[type] as unknown as { of(one: number | bigint): { buffer: ArrayBuffer } };
    head.raw(new Uint8Array(array.of(number).buffer));
  }
}

/** The element type is the array's class; a plain array holds texts, booleans or arrays. */
function writeArray(head: Bytes, array: GgufArray): void {
  if (ArrayBuffer.isView(array)) {
    const type = (Object.keys(ggufArrays) as (keyof typeof ggufArrays)[]).find(
      (one) => array instanceof ggufArrays[one],
    )!;
    head.u32(ggufTypes.indexOf(type));
    head.u64(array.length);
    head.raw(new Uint8Array(array.buffer, array.byteOffset, array.byteLength));
    return;
  }
  const first: unknown = array[0];
  const type =
    typeof first === 'boolean' ? 'bool' : first === undefined || typeof first === 'string' ? 'string' : 'array';
  head.u32(ggufTypes.indexOf(type));
  head.u64(array.length);
  for (const item of array) writeValue(head, type, item);
}

/** A growing run of bytes. */
class Bytes {
  length = 0;
  private buffer = new Uint8Array(1 << 16);
  private view = new DataView(this.buffer.buffer);
  private readonly encoder = new TextEncoder();

  private grow(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.buffer.length) {
      const larger = new Uint8Array(2 * this.length);
      larger.set(this.buffer.subarray(0, at));
      this.buffer = larger;
      this.view = new DataView(larger.buffer);
    }
    return at;
  }

  u32(value: number): void {
    const at = this.grow(4);
    this.view.setUint32(at, value, true);
  }

  u64(value: number): void {
    const at = this.grow(8);
    this.view.setBigUint64(at, BigInt(value), true);
  }

  raw(bytes: Uint8Array): void {
    const at = this.grow(bytes.length);
    this.buffer.set(bytes, at);
  }

  text(value: string): void {
    const bytes = this.encoder.encode(value);
    this.u64(bytes.length);
    this.raw(bytes);
  }

  take(): Uint8Array {
    return this.buffer.subarray(0, this.length);
  }
}
