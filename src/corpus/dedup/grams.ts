/** Texts as the words that are compared, and hashes of runs of them. */

/** Letters and digits in small letters, without accents and apostrophes: editions differ in marks, dashes and line ends. */
export function comparedWords(text: string): string[] {
  const plain = text
    .normalize('NFKD')
    .replace(/['’‘`\p{Mn}]/gu, '')
    .toLowerCase();
  return plain.match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** A 64-bit hash of every run of n words, and its place; a few multiplications a word, whatever n (Karp and Rabin 1987). */
export function eachGram(
  words: readonly string[],
  n: number,
  visit: (low: number, high: number, at: number) => void,
): void {
  const count = words.length;
  const hashes = new Uint32Array(count);
  for (let i = 0; i < count; i++) hashes[i] = wordHash(words[i]!);
  let lowLast = 1;
  let highLast = 1;
  for (let i = 1; i < n; i++) {
    lowLast = Math.imul(lowLast, LOW_BASE);
    highLast = Math.imul(highLast, HIGH_BASE);
  }
  let low = 0;
  let high = 0;
  for (let i = 0; i < count; i++) {
    if (i >= n) {
      const gone = hashes[i - n]!;
      low = (low - Math.imul(gone, lowLast)) | 0;
      high = (high - Math.imul(gone ^ (gone >>> 15), highLast)) | 0;
    }
    const come = hashes[i]!;
    low = (Math.imul(low, LOW_BASE) + come) | 0;
    high = (Math.imul(high, HIGH_BASE) + (come ^ (come >>> 15))) | 0;
    if (i >= n - 1) visit(mixed(low), mixed(high), i - n + 1);
  }
}

const LOW_BASE = 0x9e3779b1;
const HIGH_BASE = 0x85ebca77;

/** Every bit of the result depends on every bit of x (MurmurHash3's last steps). */
export function mixed(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return (x ^ (x >>> 16)) >>> 0;
}

/** FNV-1a over UTF-16 units. */
export function wordHash(word: string): number {
  let hash = 2166136261;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 16777619);
  return hash >>> 0;
}
