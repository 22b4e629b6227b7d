/** Finding NaN and infinite scales in stored blocks: cheap enough for a loader to ask of every tensor. */
import { dtypes, type WeightType } from '../tensor/dtype.ts';
import type { Scales } from './codec.ts';

/**
 * The exponent bits, all ones for NaN and infinity. Byte by byte: `high` in the number's last byte, `low` in the one before.
 * By 32-bit words of one or two numbers: adding the lowest exponent bit to an exponent of all ones carries into the sign's place.
 */
const EXPONENT = {
  f16: { last: 1, high: 0x7c, low: 0, mask: 0x7c007c00, one: 0x04000400, carry: 0x80008000 },
  bf16: { last: 1, high: 0x7f, low: 0x80, mask: 0x7f807f80, one: 0x00800080, carry: 0x80008000 },
  f32: { last: 3, high: 0x7f, low: 0x80, mask: 0x7f800000, one: 0x00800000, carry: 0x80000000 },
} as const;

const PIECE_BYTES = 65536;

/** The first block of `bytes` that has a NaN or infinite number at one of the codec's places, or −1. */
export function findBadBlock(dtype: WeightType, scales: Scales, bytes: Uint8Array): number {
  const { blockWeights, blockBytes } = dtypes[dtype];
  if (scales.type === 'coded') {
    for (let at = 0; at + blockBytes <= bytes.length; at += blockBytes) {
      if (scales.isBad(bytes, at)) return at / blockBytes;
    }
    return -1;
  }
  const { type, offsets } = scales;
  const { last, high, low } = EXPONENT[type];
  // Where every byte belongs to a number, whole words rule out most of them.
  const from = blockWeights === 1 ? finitePrefix(type, bytes) : 0;
  for (let at = from; at + blockBytes <= bytes.length; at += blockBytes) {
    for (let k = 0; k < offsets.length; k++) {
      const end = at + offsets[k]! + last;
      if ((bytes[end]! & high) === high && (low === 0 || (bytes[end - 1]! & low) === low)) return at / blockBytes;
    }
  }
  return -1;
}

/** A number of bytes from the start on, whole words, that hold finite numbers only; at most PIECE_BYTES short of the first other. */
function finitePrefix(type: keyof typeof EXPONENT, bytes: Uint8Array): number {
  const mask = EXPONENT[type].mask | 0;
  const one = EXPONENT[type].one | 0;
  const carry = EXPONENT[type].carry | 0;
  for (let start = 0; ; start += PIECE_BYTES) {
    const length = Math.min(PIECE_BYTES, bytes.length - start) & ~3;
    if (length <= 0) return start;
    const piece = bytes.subarray(start, start + length);
    const aligned = piece.byteOffset % 4 === 0 ? piece : piece.slice();
    const words = new Int32Array(aligned.buffer, aligned.byteOffset, length / 4);
    let found = 0;
    for (let i = 0; i < words.length; i++) found |= ((words[i]! & mask) + one) | 0;
    if (found & carry) return start;
    if (length < PIECE_BYTES) return start + length;
  }
}
