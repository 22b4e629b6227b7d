/**
 * bzip2, decompressing only, as a stream: chunks in, one block (at most 900 kB) out at a time, concatenated streams one after
 * the other as Wikipedia's multistream dumps have them. Every block's CRC is checked.
 *
 *   "BZh" level · blocks (π · crc · randomised? · origin · symbol map · Huffman tables · selectors · symbols) · √π · crc · padding
 *
 * Written here because the packages for it are unmaintained or need the whole file in memory, and dumps have tens of gigabytes.
 * Source: the format as documented in bzip2's manual and the "bzip2 format" notes by Joe Tsai (2016).
 */
import { BitInput, type HuffmanTable, readTables } from './bzip2-bits.ts';
import type { Chunks } from './reader.ts';

const BLOCK_MAGIC = 0x314159265359;
const END_MAGIC = 0x177245385090;
const GROUP_SIZE = 50;
/** A block's compressed form is never longer than this; so much is at hand before a block is decoded. */
const BLOCK_INPUT = 1_300_000;

/** Throws FormatError `bzip2.*` where the data is broken; what came before has been handed out. */
export async function* bunzip2(chunks: Chunks, file: string): Chunks {
  const input = new BitInput(chunks, file);
  await input.prepare(BLOCK_INPUT);
  if (input.atEnd()) input.fail('empty', 'no bytes', 'The file is empty.');
  while (!input.atEnd()) {
    const blockBytes = readStreamHeader(input);
    const decoder = new BlockDecoder(blockBytes);
    for (;;) {
      await input.prepare(BLOCK_INPUT);
      const magic = input.bits(24) * 2 ** 24 + input.bits(24);
      const crc = input.bits(32);
      if (magic === END_MAGIC) break;
      if (magic !== BLOCK_MAGIC) input.fail('magic', 'a block does not start where it should', 'The file is damaged.');
      const bytes = decoder.decode(input);
      if (crc32(bytes) !== crc >>> 0) input.fail('crc', 'a block does not match its checksum', 'The file is damaged.');
      yield bytes;
    }
    input.align();
    await input.prepare(4);
  }
}

function readStreamHeader(input: BitInput): number {
  const magic = input.bits(24);
  const level = input.bits(8) - 48;
  if (magic !== 0x425a68 || !(level >= 1 && level <= 9))
    input.fail('header', 'no BZh1…BZh9 here', 'Is this a bzip2 file?');
  return level * 100_000;
}

class BlockDecoder {
  /** Pointers of the inverse Burrows–Wheeler transform; the low byte is the symbol. */
  private readonly links: Uint32Array;
  private readonly blockBytes: number;

  constructor(blockBytes: number) {
    this.blockBytes = blockBytes;
    this.links = new Uint32Array(blockBytes);
  }

  decode(input: BitInput): Uint8Array {
    const randomised = input.bits(1);
    if (randomised)
      input.fail('randomised', 'a randomised block, which no program has written since 1998', 'Pack the file again.');
    const origin = input.bits(24);
    const symbols = readSymbolMap(input);
    const { tables, selectors } = readTables(input, symbols.length + 2);
    const length = this.readSymbols(input, symbols, tables, selectors);
    if (!(origin < length)) input.fail('origin', `block origin ${origin} of ${length}`, 'The file is damaged.');
    return this.undoSort(origin, length);
  }

  /** Huffman codes → run lengths and move-to-front positions → bytes in `links`. */
  private readSymbols(
    input: BitInput,
    symbols: Uint8Array,
    tables: readonly HuffmanTable[],
    selectors: Uint8Array,
  ): number {
    const { links, blockBytes } = this;
    const front = symbols.slice();
    const endOfBlock = symbols.length + 1;
    let length = 0;
    let run = 0;
    let runBit = 1;
    let table = tables[selectors[0]!]!;
    let group = 0;
    let left = GROUP_SIZE;
    for (;;) {
      if (left === 0) {
        if (++group >= selectors.length) input.fail('selectors', 'more symbols than selectors', 'The file is damaged.');
        table = tables[selectors[group]!]!;
        left = GROUP_SIZE;
      }
      left--;
      const symbol = input.symbol(table);
      if (symbol <= 1) {
        run += runBit << symbol;
        runBit <<= 1;
        if (run > blockBytes)
          input.fail('length', `a run longer than a block of ${blockBytes} bytes`, 'The file is damaged.');
        continue;
      }
      if (run > 0) {
        if (length + run > blockBytes)
          input.fail('length', `a block longer than ${blockBytes} bytes`, 'The file is damaged.');
        links.fill(front[0]!, length, length + run);
        length += run;
        run = 0;
        runBit = 1;
      }
      if (symbol === endOfBlock) return length;
      if (length >= blockBytes) input.fail('length', `a block longer than ${blockBytes} bytes`, 'The file is damaged.');
      const position = symbol - 1;
      const byte = front[position]!;
      front.copyWithin(1, 0, position);
      front[0] = byte;
      links[length++] = byte;
    }
  }

  /** Inverse Burrows–Wheeler, and the first run-length layer: four equal bytes are followed by a count. */
  private undoSort(origin: number, length: number): Uint8Array {
    const { links } = this;
    const starts = new Uint32Array(257);
    for (let i = 0; i < length; i++) starts[(links[i]! & 255) + 1]!++;
    for (let i = 0; i < 256; i++) starts[i + 1]! += starts[i]!;
    for (let i = 0; i < length; i++) links[starts[links[i]! & 255]!++]! |= i << 8;
    let output = new Uint8Array(length + (length >>> 2) + 512);
    let size = 0;
    let previous = -1;
    let equal = 0;
    let link = links[origin]! >>> 8;
    for (let i = 0; i < length; i++) {
      const entry = links[link]!;
      const byte = entry & 255;
      link = entry >>> 8;
      if (size + 256 > output.length) {
        const larger = new Uint8Array(output.length * 2);
        larger.set(output);
        output = larger;
      }
      if (equal === 4) {
        output.fill(previous, size, size + byte);
        size += byte;
        equal = 0;
        previous = -1;
        continue;
      }
      equal = byte === previous ? equal + 1 : 1;
      previous = byte;
      output[size++] = byte;
    }
    return output.subarray(0, size);
  }
}

/** Which bytes occur: 16 bits for ranges, then 16 bits for each range that is there. */
function readSymbolMap(input: BitInput): Uint8Array {
  const ranges = input.bits(16);
  const symbols: number[] = [];
  for (let range = 0; range < 16; range++) {
    if (!(ranges & (0x8000 >>> range))) continue;
    const bits = input.bits(16);
    for (let i = 0; i < 16; i++) if (bits & (0x8000 >>> i)) symbols.push(range * 16 + i);
  }
  if (symbols.length === 0) input.fail('symbols', 'a block without symbols', 'The file is damaged.');
  return Uint8Array.from(symbols);
}

const crcTable = Uint32Array.from({ length: 256 }, (_, i) => {
  let crc = i << 24;
  for (let bit = 0; bit < 8; bit++) crc = crc & 0x80000000 ? (crc << 1) ^ 0x04c11db7 : crc << 1;
  return crc;
});

/** CRC-32 with the bits in bzip2's order. */
function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff;
  for (let i = 0; i < bytes.length; i++) crc = (crc << 8) ^ crcTable[((crc >>> 24) ^ bytes[i]!) & 255]!;
  return ~crc >>> 0;
}
