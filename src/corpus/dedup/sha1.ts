/**
 * SHA-1 (FIPS 180-4 §6.1) in plain TypeScript, for many short messages: the hash of a line is taken millions of times, and below
 * layer 7 there is no `node:crypto`. Not for security; CCNet's line hashes are defined by it.
 */
const blockWords = new Int32Array(80);
/** h0..h4 of the last message, as signed words. */
export const sha1State = new Int32Array(5);
let padded = new Uint8Array(256);

/** Hashes bytes[0, length) into `sha1State`. */
export function sha1(bytes: Uint8Array, length = bytes.length): void {
  const total = ((length + 8) >>> 6) * 64 + 64;
  if (padded.length < total) padded = new Uint8Array(total * 2);
  padded.set(length === bytes.length ? bytes : bytes.subarray(0, length));
  padded.fill(0, length, total);
  padded[length] = 0x80;
  const bitsHigh = Math.floor(length / 0x20000000);
  const bitsLow = (length << 3) >>> 0;
  for (let i = 0; i < 4; i++) {
    padded[total - 8 + i] = bitsHigh >>> (24 - 8 * i);
    padded[total - 4 + i] = bitsLow >>> (24 - 8 * i);
  }
  sha1State[0] = 0x67452301;
  sha1State[1] = 0xefcdab89 | 0;
  sha1State[2] = 0x98badcfe | 0;
  sha1State[3] = 0x10325476;
  sha1State[4] = 0xc3d2e1f0 | 0;
  for (let offset = 0; offset < total; offset += 64) compress(padded, offset);
}

/** The first eight digest bytes read as a little-endian u64: [low, high] words. CCNet's line hash. */
export function sha1Low(): number {
  return swap(sha1State[0]!);
}
export function sha1High(): number {
  return swap(sha1State[1]!);
}

export function sha1Hex(bytes: Uint8Array): string {
  sha1(bytes);
  return Array.from(sha1State, (word) => (word >>> 0).toString(16).padStart(8, '0')).join('');
}

function compress(bytes: Uint8Array, offset: number): void {
  const w = blockWords;
  for (let i = 0; i < 16; i++) {
    const at = offset + i * 4;
    w[i] = (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
  }
  for (let i = 16; i < 80; i++) {
    const x = w[i - 3]! ^ w[i - 8]! ^ w[i - 14]! ^ w[i - 16]!;
    w[i] = (x << 1) | (x >>> 31);
  }
  let a = sha1State[0]!;
  let b = sha1State[1]!;
  let c = sha1State[2]!;
  let d = sha1State[3]!;
  let e = sha1State[4]!;
  for (let i = 0; i < 80; i++) {
    let mixed: number;
    if (i < 20) mixed = ((b & c) | (~b & d)) + 0x5a827999;
    else if (i < 40) mixed = (b ^ c ^ d) + 0x6ed9eba1;
    else if (i < 60) mixed = ((b & c) | (b & d) | (c & d)) + 0x8f1bbcdc;
    else mixed = (b ^ c ^ d) + 0xca62c1d6;
    const next = (((a << 5) | (a >>> 27)) + mixed + e + w[i]!) | 0;
    e = d;
    d = c;
    c = (b << 30) | (b >>> 2);
    b = a;
    a = next;
  }
  sha1State[0] = (sha1State[0]! + a) | 0;
  sha1State[1] = (sha1State[1]! + b) | 0;
  sha1State[2] = (sha1State[2]! + c) | 0;
  sha1State[3] = (sha1State[3]! + d) | 0;
  sha1State[4] = (sha1State[4]! + e) | 0;
}

function swap(word: number): number {
  return ((word >>> 24) | ((word >>> 8) & 0xff00) | ((word << 8) & 0xff0000) | (word << 24)) >>> 0;
}
