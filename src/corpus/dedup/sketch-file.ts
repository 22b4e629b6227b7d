/**
 * Sketches of a unit's documents in a file, read back one by one:
 *
 *   u32 bytes of the id · u32 hashes · f64 shingles · id, padded to 8 · f64 per hash
 */
import type { ByteSource } from '../../tensor/source.ts';
import type { Sketch } from './near.ts';

const HEAD_BYTES = 16;
const BLOCK_BYTES = 1 << 20;

export function encodeSketch({ id, shingles, hashes }: Sketch): Uint8Array {
  const name = new TextEncoder().encode(id);
  const nameRoom = Math.ceil(name.length / 8) * 8;
  const bytes = new Uint8Array(HEAD_BYTES + nameRoom + hashes.length * 8);
  new Uint32Array(bytes.buffer, 0, 2).set([name.length, hashes.length]);
  new Float64Array(bytes.buffer, 8, 1)[0] = shingles;
  bytes.set(name, HEAD_BYTES);
  new Float64Array(bytes.buffer, HEAD_BYTES + nameRoom).set(hashes);
  return bytes;
}

/** Visits the sketches of a file in their order; memory is one block, or one sketch where that is larger. */
export function eachSketch(source: ByteSource, visit: (sketch: Sketch) => void): void {
  const decoder = new TextDecoder();
  let block = new Uint8Array(BLOCK_BYTES);
  let start = 0;
  let filled = 0;
  const bytesAt = (at: number, count: number): Uint8Array<ArrayBuffer> => {
    if (at < start || at + count > start + filled) {
      if (count > block.length) block = new Uint8Array(count);
      start = at;
      filled = Math.min(block.length, source.byteLength - at);
      source.readInto(block.subarray(0, filled), at);
    }
    return block.subarray(at - start, at - start + count);
  };
  for (let at = 0; at < source.byteLength; ) {
    const head = new DataView(bytesAt(at, HEAD_BYTES).slice().buffer);
    const nameBytes = head.getUint32(0, true);
    const hashCount = head.getUint32(4, true);
    const shingles = head.getFloat64(8, true);
    const hashesAt = HEAD_BYTES + Math.ceil(nameBytes / 8) * 8;
    const bytes = bytesAt(at, hashesAt + hashCount * 8);
    const id = decoder.decode(bytes.subarray(HEAD_BYTES, HEAD_BYTES + nameBytes));
    visit({ id, shingles, hashes: new Float64Array(bytes.buffer, bytes.byteOffset + hashesAt, hashCount) });
    at += bytes.length;
  }
}
