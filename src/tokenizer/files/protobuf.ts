/**
 * The wire format of protocol buffers, as far as tokenizer.model needs it: fields one after the other, strictly checked.
 * A protobuf library would need the whole schema for the ten fields that are read here.
 * Source   protobuf.dev/programming-guides/encoding.
 */
import { badTokenizer } from '../vocabulary.ts';

export type Field = { readonly number: number; readonly at: number } & (
  | { readonly wire: 'varint'; readonly value: number }
  | { readonly wire: 'fixed32'; readonly value: number }
  | { readonly wire: 'fixed64' }
  | { readonly wire: 'bytes'; readonly value: Uint8Array }
);

/** The fields of one message; `at` is the byte offset in the file (`base` for a nested message). */
export function* readFields(file: string, bytes: Uint8Array, base = 0): Generator<Field> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  const fail = (problem: string) => badTokenizer(file, `byte ${base + at}`, problem);
  const varint = (): number => {
    let value = 0;
    let low = 0;
    for (let shift = 0; shift < 10; shift++) {
      if (at >= bytes.length) throw fail('expected the rest of a varint, found the end');
      const byte = bytes[at++]!;
      value += (byte & 0x7f) * 2 ** (7 * shift);
      if (shift < 5) low |= (byte & 0x7f) << (7 * shift);
      if (byte < 0x80) return value >= 2 ** 63 ? low : value; // a negative int32 comes as 64 bits
    }
    throw fail('expected a varint of at most 10 bytes, found a longer one');
  };
  const need = (count: number, what: string) => {
    const left = bytes.length - at;
    if (!(count >= 0 && count <= left)) throw fail(`expected ${what} of ${count} bytes, found ${left} left`);
  };
  while (at < bytes.length) {
    const start = base + at;
    const key = varint();
    const number = Math.floor(key / 8);
    if (!(number >= 1 && number < 2 ** 29)) throw fail(`expected a field number from 1, found ${number}`);
    switch (key % 8) {
      case 0:
        yield { number, at: start, wire: 'varint', value: varint() };
        break;
      case 1:
        need(8, 'a number');
        at += 8;
        yield { number, at: start, wire: 'fixed64' };
        break;
      case 2: {
        const length = varint();
        need(length, 'a field');
        at += length;
        yield { number, at: base + at - length, wire: 'bytes', value: bytes.subarray(at - length, at) };
        break;
      }
      case 5:
        need(4, 'a number');
        yield { number, at: start, wire: 'fixed32', value: view.getFloat32(at, true) };
        at += 4;
        break;
      default:
        throw fail(`expected wire type 0, 1, 2 or 5, found ${key % 8}`);
    }
  }
}
