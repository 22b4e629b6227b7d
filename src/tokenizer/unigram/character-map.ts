/**
 * SentencePiece's normalisation table (nmt_nfkc and its relatives): at each place of a text the longest entry that fits is replaced.
 *
 *   u32 bytes of the trie · the trie, a double array of u32 (darts-clone) over UTF-8 · replacements, each ended by a zero byte
 *
 * A unit of the double array: bits 0–7 the byte that leads here, bit 8 whether a value follows, bits 10–30 the offset to the children, times 256
 * where bit 9 is set; bit 31 marks a value, the place of its replacement.
 * Source   sentencepiece normalizer.cc, DecodePrecompiledCharsMap and NormalizePrefix; darts-clone darts.h.
 */
import { badTokenizer } from '../vocabulary.ts';

export class CharacterMap {
  private readonly units: Uint32Array;
  private readonly replacements: Uint8Array;

  /** Throws FormatError `tokenizer.invalid`. */
  constructor(file: string, table: Uint8Array) {
    const view = new DataView(table.buffer, table.byteOffset, table.length);
    const trieBytes = table.length >= 4 ? view.getUint32(0, true) : 0;
    if (!(trieBytes >= 4 && trieBytes % 4 === 0 && 4 + trieBytes < table.length && table.at(-1) === 0)) {
      throw badTokenizer(
        file,
        'normalisation table',
        `expected a trie of whole units and replacements that end, found a trie of ${trieBytes} bytes in ${table.length}`,
      );
    }
    this.units = Uint32Array.from({ length: trieBytes / 4 }, (_, i) => view.getUint32(4 + 4 * i, true));
    this.replacements = table.subarray(4 + trieBytes);
  }

  apply(text: string): string {
    const bytes = new TextEncoder().encode(text);
    const parts: Uint8Array[] = [];
    let kept = 0;
    for (let at = 0; at < bytes.length; ) {
      const [length, place] = this.longest(bytes, at);
      if (length === 0) {
        at += characterBytes(bytes[at]!);
        continue;
      }
      parts.push(bytes.subarray(kept, at), this.replacement(place));
      at += length;
      kept = at;
    }
    if (kept === 0) return text;
    parts.push(bytes.subarray(kept));
    const joined = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
    let filled = 0;
    for (const part of parts) {
      joined.set(part, filled);
      filled += part.length;
    }
    return new TextDecoder('utf-8', { ignoreBOM: true }).decode(joined);
  }

  /** Bytes of the longest entry at a place, 0 where none fits; and where its replacement begins. */
  private longest(bytes: Uint8Array, begin: number): readonly [length: number, place: number] {
    const { units } = this;
    let length = 0;
    let place = 0;
    let node = offsetOf(units[0]!);
    for (let at = begin; at < bytes.length; at++) {
      node ^= bytes[at]!;
      const unit = units[node];
      if (unit === undefined || (unit & 0x800000ff) >>> 0 !== bytes[at]) break;
      node ^= offsetOf(unit);
      const value = units[node];
      if ((unit & 0x100) === 0 || value === undefined) continue;
      length = at + 1 - begin;
      place = value & 0x7fffffff;
    }
    return [length, place];
  }

  private replacement(place: number): Uint8Array {
    const end = this.replacements.indexOf(0, place);
    return this.replacements.subarray(place, end < 0 ? place : end);
  }
}

function offsetOf(unit: number): number {
  return (unit >>> 10) << ((unit & 0x200) >>> 6);
}

function characterBytes(first: number): number {
  return first < 0x80 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
}
