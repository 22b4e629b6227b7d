/** Cyclic checks of bytes that come in pieces: CRC-32 (IEEE 802.3) and CRC-64 (ECMA-182), as xz has them, least significant byte first. */
const table32 = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0xedb88320 : value >>> 1;
  return value;
});

const low64 = new Uint32Array(256);
const high64 = new Uint32Array(256);
for (let byte = 0; byte < 256; byte++) {
  let [low, high] = [byte, 0];
  for (let bit = 0; bit < 8; bit++) {
    const isOdd = low & 1;
    low = (low >>> 1) | ((high & 1) << 31);
    high >>>= 1;
    if (isOdd) [low, high] = [low ^ 0xd7870f42, high ^ 0xc96c5795];
  }
  [low64[byte], high64[byte]] = [low, high];
}

export class Crc32 {
  private value = 0xffffffff;

  add(bytes: Uint8Array): void {
    let { value } = this;
    for (const byte of bytes) value = (value >>> 8) ^ table32[(value ^ byte) & 255]!;
    this.value = value;
  }

  digest(): Uint8Array {
    return new Uint8Array(Uint32Array.of(~this.value).buffer);
  }
}

export class Crc64 {
  private low = 0xffffffff;
  private high = 0xffffffff;

  add(bytes: Uint8Array): void {
    let { low, high } = this;
    for (const byte of bytes) {
      const row = (low ^ byte) & 255;
      low = ((low >>> 8) | (high << 24)) ^ low64[row]!;
      high = (high >>> 8) ^ high64[row]!;
    }
    this.low = low;
    this.high = high;
  }

  digest(): Uint8Array {
    return new Uint8Array(Uint32Array.of(~this.low, ~this.high).buffer);
  }
}
