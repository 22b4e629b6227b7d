/** Bits of a bzip2 stream, and its Huffman codes. See bzip2.ts. */
import { FormatError } from '../../base/errors.ts';
import type { Chunks } from './reader.ts';

const MAXIMUM_CODE_LENGTH = 20;
const LOOKUP_BITS = 10;
const LOOKUP_MASK = (1 << LOOKUP_BITS) - 1;

/** Bits from the most significant end; knows how much is at hand. */
export class BitInput {
  private readonly chunks: AsyncIterator<Uint8Array>;
  private readonly file: string;
  private buffer = new Uint8Array(0);
  private at = 0;
  private bitBuffer = 0;
  private bitCount = 0;
  private ended = false;
  private consumed = 0;

  constructor(chunks: Chunks, file: string) {
    this.chunks = chunks[Symbol.asyncIterator]();
    this.file = file;
  }

  /** Waits until `count` bytes are at hand, or the input has ended. */
  async prepare(count: number): Promise<void> {
    if (this.buffer.length - this.at >= count || this.ended) return;
    const parts = [this.buffer.subarray(this.at)];
    let length = parts[0]!.length;
    this.consumed += this.at;
    while (length < count) {
      const { done, value } = await this.chunks.next();
      if (done) {
        this.ended = true;
        break;
      }
      parts.push(value as Uint8Array<ArrayBuffer>);
      length += value.length;
    }
    this.buffer = new Uint8Array(length);
    let at = 0;
    for (const part of parts) {
      this.buffer.set(part, at);
      at += part.length;
    }
    this.at = 0;
  }

  atEnd(): boolean {
    return this.at >= this.buffer.length && this.bitCount < 8;
  }

  /** The next `count` ≤ 32 bits. */
  bits(count: number): number {
    if (count > 24) return this.bits(count - 16) * 65536 + this.bits(16);
    while (this.bitCount < count) {
      if (this.at >= this.buffer.length)
        this.fail('truncated', 'the file ends inside a block', 'It is truncated; fetch it again.');
      this.bitBuffer = ((this.bitBuffer << 8) | this.buffer[this.at++]!) >>> 0;
      this.bitCount += 8;
    }
    this.bitCount -= count;
    return (this.bitBuffer >>> this.bitCount) & ((1 << count) - 1);
  }

  /** The next symbol of a Huffman code: one table look-up for short codes, bit by bit for long ones and at the file's end. */
  symbol(table: HuffmanTable): number {
    while (this.bitCount < LOOKUP_BITS && this.at < this.buffer.length) {
      this.bitBuffer = ((this.bitBuffer << 8) | this.buffer[this.at++]!) >>> 0;
      this.bitCount += 8;
    }
    if (this.bitCount >= LOOKUP_BITS) {
      const entry = table.lookup[(this.bitBuffer >>> (this.bitCount - LOOKUP_BITS)) & LOOKUP_MASK]!;
      if (entry !== 0) {
        this.bitCount -= entry & 31;
        return entry >>> 5;
      }
    }
    return readLongCode(this, table);
  }

  align(): void {
    this.bitCount -= this.bitCount % 8;
  }

  fail(what: string, problem: string, advice: string): never {
    throw new FormatError(
      { code: `bzip2.${what}`, file: this.file, where: `byte ${this.consumed + this.at}` },
      problem,
      advice,
    );
  }
}

/** Canonical Huffman code: per length the first code, and where its symbols begin. */
export interface HuffmanTable {
  readonly minimum: number;
  readonly limits: Int32Array;
  readonly offsets: Int32Array;
  readonly symbols: Uint16Array;
  /** For the next LOOKUP_BITS bits: symbol · 32 + code length, or 0 when the code is longer. */
  readonly lookup: Uint16Array;
}

export function readTables(input: BitInput, alphabet: number): { tables: HuffmanTable[]; selectors: Uint8Array } {
  const tableCount = input.bits(3);
  const selectorCount = input.bits(15);
  if (!(tableCount >= 2 && tableCount <= 6 && selectorCount >= 1)) {
    input.fail('tables', `${tableCount} Huffman tables, ${selectorCount} selectors`, 'The file is damaged.');
  }
  const front = Uint8Array.from({ length: tableCount }, (_, i) => i);
  const selectors = new Uint8Array(selectorCount);
  for (let i = 0; i < selectorCount; i++) {
    let position = 0;
    while (input.bits(1))
      if (++position >= tableCount) input.fail('selectors', 'a selector beyond the tables', 'The file is damaged.');
    const table = front[position]!;
    front.copyWithin(1, 0, position);
    front[0] = table;
    selectors[i] = table;
  }
  const tables = Array.from({ length: tableCount }, () => readTable(input, alphabet));
  return { tables, selectors };
}

function readTable(input: BitInput, alphabet: number): HuffmanTable {
  const lengths = new Uint8Array(alphabet);
  let length = input.bits(5);
  for (let symbol = 0; symbol < alphabet; symbol++) {
    while (input.bits(1)) length += input.bits(1) ? -1 : 1;
    if (!(length >= 1 && length <= MAXIMUM_CODE_LENGTH))
      input.fail('code', `a code of ${length} bits`, 'The file is damaged.');
    lengths[symbol] = length;
  }
  const counts = new Int32Array(MAXIMUM_CODE_LENGTH + 2);
  for (const each of lengths) counts[each]!++;
  const limits = new Int32Array(MAXIMUM_CODE_LENGTH + 2);
  const offsets = new Int32Array(MAXIMUM_CODE_LENGTH + 2);
  const symbols = new Uint16Array(alphabet);
  let code = 0;
  let index = 0;
  for (let bits = 1; bits <= MAXIMUM_CODE_LENGTH; bits++) {
    offsets[bits] = index - code;
    code += counts[bits]!;
    index += counts[bits]!;
    limits[bits] = code; // codes of this length are below it
    code *= 2;
  }
  const next = new Int32Array(MAXIMUM_CODE_LENGTH + 2);
  for (let bits = 1; bits <= MAXIMUM_CODE_LENGTH; bits++) next[bits + 1] = next[bits]! + counts[bits]!;
  for (let symbol = 0; symbol < alphabet; symbol++) symbols[next[lengths[symbol]!]!++] = symbol;
  const minimum = lengths.reduce((least, each) => Math.min(least, each), MAXIMUM_CODE_LENGTH);
  return { minimum, limits, offsets, symbols, lookup: makeLookup(lengths, limits, counts, offsets, symbols) };
}

function makeLookup(
  lengths: Uint8Array,
  limits: Int32Array,
  counts: Int32Array,
  offsets: Int32Array,
  symbols: Uint16Array,
): Uint16Array {
  const lookup = new Uint16Array(1 << LOOKUP_BITS);
  for (let bits = 1; bits <= LOOKUP_BITS; bits++) {
    for (let code = limits[bits]! - counts[bits]!; code < limits[bits]!; code++) {
      const symbol = symbols[code + offsets[bits]!];
      if (symbol === undefined || lengths[symbol] !== bits) continue;
      const first = code << (LOOKUP_BITS - bits);
      // An over-full set of codes, which only a damaged file has, must not write beyond the table; fill() cuts it.
      lookup.fill(symbol * 32 + bits, first, first + (1 << (LOOKUP_BITS - bits)));
    }
  }
  return lookup;
}

function readLongCode(input: BitInput, table: HuffmanTable): number {
  let bits = table.minimum;
  let code = input.bits(bits);
  while (bits <= MAXIMUM_CODE_LENGTH) {
    if (code < table.limits[bits]!) {
      const symbol = table.symbols[code + table.offsets[bits]!];
      if (symbol !== undefined) return symbol;
      break;
    }
    code = code * 2 + input.bits(1);
    bits++;
  }
  return input.fail('code', 'a code that no symbol has', 'The file is damaged.');
}
