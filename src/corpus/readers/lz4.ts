/**
 * LZ4 frames, one or several after each other, with skippable frames between them, and the older form that kernels have. A block and 64 KB before it are held.
 * Source: LZ4 Frame Format Description 1.6.4; LZ4 Block Format Description; xxHash specification 0.2.0 (XXH32).
 */
import { FormatError } from '../../base/errors.ts';
import { ByteQueue } from './byte-queue.ts';
import type { Chunks } from './reader.ts';

export const LZ4_FRAME = 0x184d2204;
export const LZ4_LEGACY = 0x184c2102;
const SKIPPABLE = 0x184d2a50;
const HISTORY_BYTES = 1 << 16;
const LEGACY_BLOCK = 8 << 20;

export async function* unlz4(input: Chunks, file: string): Chunks {
  const queue = new ByteQueue(input);
  const fail = (problem: string): never => {
    throw new FormatError(
      { code: 'input.lz4', file, where: `byte ${queue.position}` },
      problem,
      'What came before it was kept; fetch the file again.',
    );
  };
  const take = async (count: number): Promise<Uint8Array> => (await queue.take(count)) ?? fail('the file ends here');
  const word = async (): Promise<number> => wordAt(await take(4), 0);
  while (await queue.fill(1)) {
    const magic = await word();
    if ((magic & ~15) >>> 0 === SKIPPABLE) {
      if (!(await queue.skip(await word()))) fail('the file ends here');
    } else if (magic === LZ4_LEGACY) yield* legacy();
    else if (magic === LZ4_FRAME) yield* frame();
    else fail('bytes after the end of the lz4 data');
  }

  async function* frame(): Chunks {
    const [flags, descriptor] = await take(2);
    const most = 1 << (8 + 2 * ((descriptor! >> 4) & 7));
    if (flags! >> 6 !== 1 || most < 1 << 16) fail('a frame of a kind that there is not');
    if (flags! & 1) fail('a frame that needs a dictionary');
    await take((flags! & 8 ? 8 : 0) + 1);
    const isLinked = (flags! & 32) === 0;
    const content = flags! & 4 ? new XxHash32() : undefined;
    let history = new Uint8Array(0);
    for (let size = await word(); size !== 0; size = await word()) {
      const bytes = size % 2 ** 31;
      if (bytes > most) fail(`a block of ${bytes} bytes in a frame of at most ${most}`);
      const packed = await take(bytes);
      if (flags! & 16 && (await word()) !== XxHash32.of(packed)) fail('the checksum of a block does not fit');
      const block = size >= 2 ** 31 ? packed : unpack(packed, isLinked ? history : new Uint8Array(0), most);
      content?.add(block);
      yield block;
      if (isLinked) history = joined(history, block);
    }
    if (content && (await word()) !== content.digest()) fail('the checksum of a frame does not fit');
  }

  async function* legacy(): Chunks {
    while (await queue.fill(4)) {
      const size = wordAt(queue.ready, 0);
      if (size === LZ4_FRAME || size === LZ4_LEGACY || (size & ~15) >>> 0 === SKIPPABLE) return;
      queue.consume(4);
      if (size > LEGACY_BLOCK * 1.01) fail(`a block of ${size} bytes`);
      yield unpack(await take(size), new Uint8Array(0), LEGACY_BLOCK);
    }
  }

  function unpack(packed: Uint8Array, history: Uint8Array, most: number): Uint8Array {
    // A byte gives at most 255.
    const window = new Uint8Array(history.length + Math.min(most, packed.length * 255 + 64));
    window.set(history);
    let from = 0;
    let to = history.length;
    const extended = (start: number): number => {
      let length = start;
      for (let byte = 255; byte === 255; length += byte) byte = packed[from++] ?? fail('a block ends too soon');
      return length;
    };
    while (from < packed.length) {
      const token = packed[from++]!;
      const literals = token >> 4 === 15 ? extended(15) : token >> 4;
      if (from + literals > packed.length || to + literals > window.length) fail('a block is longer than it may be');
      window.set(packed.subarray(from, from + literals), to);
      from += literals;
      to += literals;
      if (from >= packed.length) break;
      const distance = packed[from]! + (packed[from + 1] ?? fail('a block ends too soon')) * 256;
      from += 2;
      const length = 4 + ((token & 15) === 15 ? extended(15) : token & 15);
      if (distance === 0 || distance > to) fail('a match reaches back before the beginning');
      if (to + length > window.length) fail('a block is longer than it may be');
      for (const end = to + length; to < end; to++) window[to] = window[to - distance]!;
    }
    return window.slice(history.length, to);
  }
}

/** The last 64 KB of both. */
function joined(history: Uint8Array, block: Uint8Array): Uint8Array<ArrayBuffer> {
  if (block.length >= HISTORY_BYTES) return block.slice(block.length - HISTORY_BYTES);
  const kept = history.subarray(Math.max(0, history.length + block.length - HISTORY_BYTES));
  const both = new Uint8Array(kept.length + block.length);
  both.set(kept);
  both.set(block, kept.length);
  return both;
}

function wordAt(bytes: Uint8Array, at: number): number {
  return (bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)) >>> 0;
}

const P1 = 0x9e3779b1;
const P2 = 0x85ebca77;
const P3 = 0xc2b2ae3d;
const P4 = 0x27d4eb2f;
const P5 = 0x165667b1;

class XxHash32 {
  private readonly lanes = Uint32Array.of(P1 + P2, P2, 0, -P1);
  private readonly rest = new Uint8Array(16);
  private restBytes = 0;
  private total = 0;

  static of(bytes: Uint8Array): number {
    const hash = new XxHash32();
    hash.add(bytes);
    return hash.digest();
  }

  add(bytes: Uint8Array): void {
    this.total += bytes.length;
    let at = 0;
    if (this.restBytes > 0) {
      at = Math.min(16 - this.restBytes, bytes.length);
      this.rest.set(bytes.subarray(0, at), this.restBytes);
      this.restBytes += at;
      if (this.restBytes < 16) return;
      this.stripe(this.rest, 0);
      this.restBytes = 0;
    }
    for (; at + 16 <= bytes.length; at += 16) this.stripe(bytes, at);
    this.rest.set(bytes.subarray(at));
    this.restBytes = bytes.length - at;
  }

  digest(): number {
    const { lanes, rest } = this;
    let hash =
      this.total < 16
        ? P5
        : rotate(lanes[0]!, 1) + rotate(lanes[1]!, 7) + rotate(lanes[2]!, 12) + rotate(lanes[3]!, 18);
    hash = (hash + this.total) | 0;
    let at = 0;
    for (; at + 4 <= this.restBytes; at += 4)
      hash = Math.imul(rotate((hash + Math.imul(wordAt(rest, at), P3)) | 0, 17), P4);
    for (; at < this.restBytes; at++) hash = Math.imul(rotate((hash + Math.imul(rest[at]!, P5)) | 0, 11), P1);
    hash = Math.imul(hash ^ (hash >>> 15), P2);
    hash = Math.imul(hash ^ (hash >>> 13), P3);
    return (hash ^ (hash >>> 16)) >>> 0;
  }

  private stripe(bytes: Uint8Array, at: number): void {
    for (let lane = 0; lane < 4; lane++) {
      const mixed = (this.lanes[lane]! + Math.imul(wordAt(bytes, at + lane * 4), P2)) | 0;
      this.lanes[lane] = Math.imul(rotate(mixed, 13), P1);
    }
  }
}

function rotate(value: number, bits: number): number {
  return (value << bits) | (value >>> (32 - bits));
}
