/**
 * The alphabet in which byte-level BPE files spell bytes as printable characters: `Ġ` is a space, `Ċ` a newline.
 * Printable Latin-1 stands for itself; the other 68 bytes take U+0100 onwards in order.
 * Source   GPT-2 encoder.py, `bytes_to_unicode`.
 */
function letters(): string[] {
  const printable = (byte: number) => (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  let next = 0x100;
  return Array.from({ length: 256 }, (_, byte) => String.fromCharCode(printable(byte) ? byte : next++));
}

/** The letter of each byte. */
export const letterOfByte: readonly string[] = letters();

const byteOfLetter = new Map(letterOfByte.map((letter, byte) => [letter, byte]));

/** Spells bytes in the alphabet. */
export function bytesToLetters(bytes: Uint8Array): string {
  let text = '';
  for (const byte of bytes) text += letterOfByte[byte];
  return text;
}

/** The bytes that `piece` spells, or null where it holds a character outside the alphabet. */
export function lettersToBytes(piece: string): Uint8Array | null {
  const bytes = new Uint8Array(piece.length);
  for (let i = 0; i < piece.length; i++) {
    const byte = byteOfLetter.get(piece[i]!);
    if (byte === undefined) return null;
    bytes[i] = byte;
  }
  return bytes;
}
