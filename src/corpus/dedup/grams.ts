/** Texts as the words that are compared, and hashes of runs of them. */

/** Letters and digits in small letters, without accents and apostrophes: editions differ in marks, dashes and line ends. */
export function comparedWords(text: string): string[] {
  const plain = text
    .normalize('NFKD')
    .replace(/['’‘`\p{Mn}]/gu, '')
    .toLowerCase();
  return plain.match(/[\p{L}\p{N}]+/gu) ?? [];
}

/** A 64-bit hash of every run of n words, and its place. */
export function eachGram(
  words: readonly string[],
  n: number,
  visit: (low: number, high: number, at: number) => void,
): void {
  const hashes = Uint32Array.from(words, wordHash);
  for (let i = 0; i + n <= hashes.length; i++) {
    let low = 0x811c9dc5;
    let high = 0x9747b28c;
    for (let k = i; k < i + n; k++) {
      low = Math.imul(low ^ hashes[k]!, 0x01000193) ^ (low >>> 15);
      high = Math.imul(high ^ hashes[k]!, 0x85ebca6b) ^ (high >>> 13);
    }
    low = Math.imul(low ^ (low >>> 16), 0x7feb352d);
    visit((low ^ (low >>> 15)) >>> 0, high >>> 0, i);
  }
}

/** FNV-1a over UTF-16 units. */
export function wordHash(word: string): number {
  let hash = 2166136261;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 16777619);
  return hash >>> 0;
}
