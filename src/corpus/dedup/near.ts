/**
 * Near-duplicate books: a book goes when more than a share of it lies in a larger book that is kept.
 *
 * A book is the set of its 8-word shingles; its sketch is those whose hash is divisible by a modulus, so that
 *   |sketch(A) ∩ sketch(B)| / |sketch(A)|  estimates  |A ∩ B| / |A|   (containment, without bias)
 * Books are looked at from the largest to the smallest, ties by id: the outcome does not depend on the order of files.
 *
 * Memory   8 bytes per sketched shingle of all kept books: 1/64 of their words.
 * Source   LLaMA, arXiv:2302.13971 §2.1 ("more than 90 % content overlap"); Broder 1997; FracMinHash, Irber et al. 2022.
 */
const SHINGLE_WORDS = 8;
const MODULUS = 64;
/** A text with fewer sampled shingles than this is sketched whole. */
const MINIMUM_SKETCH = 64;

export interface Sketch {
  readonly id: string;
  readonly shingles: number;
  readonly bytes: number;
  readonly hashes: readonly number[];
}

export function sketch(id: string, text: string): Sketch {
  // Editions differ in quotes, dashes, emphasis and line breaks: only the words are compared, apostrophes taken out of them.
  const plain = text
    .normalize('NFKD')
    .replace(/['’‘`\p{Mn}]/gu, '')
    .toLowerCase();
  const words: string[] = plain.match(/[\p{L}\p{N}]+/gu) ?? [];
  const hashes = words.map(wordHash);
  const all = new Set<number>();
  const count = Math.max(1, words.length - SHINGLE_WORDS + 1);
  for (let i = 0; i < count; i++) all.add(shingleHash(hashes, i, Math.min(words.length, i + SHINGLE_WORDS)));
  const sampled = [...all].filter((hash) => hash % MODULUS === 0);
  const chosen = sampled.length >= MINIMUM_SKETCH ? sampled : [...all];
  return { id, shingles: all.size, bytes: text.length, hashes: chosen.sort((a, b) => a - b) };
}

export interface NearDuplicate {
  readonly id: string;
  readonly of: string;
  readonly overlap: number;
}

/** Which texts go, and for which other text each. */
export function findNearDuplicates(sketches: readonly Sketch[], threshold: number): NearDuplicate[] {
  const order = [...sketches].sort((a, b) => b.shingles - a.shingles || (a.id < b.id ? -1 : 1));
  const holders = new Map<number, number[]>();
  const kept: Sketch[] = [];
  const duplicates: NearDuplicate[] = [];
  for (const each of order) {
    const shared = new Map<number, number>();
    for (const hash of each.hashes)
      for (const book of holders.get(hash) ?? []) shared.set(book, (shared.get(book) ?? 0) + 1);
    let best = -1;
    let most = 0;
    for (const [book, count] of shared)
      if (count > most || (count === most && book < best)) [best, most] = [book, count];
    const overlap = most / each.hashes.length;
    if (overlap > threshold) {
      duplicates.push({ id: each.id, of: kept[best]!.id, overlap: Math.round(overlap * 1000) / 1000 });
      continue;
    }
    for (const hash of each.hashes) {
      const list = holders.get(hash);
      if (list) list.push(kept.length);
      else holders.set(hash, [kept.length]);
    }
    kept.push(each);
  }
  return duplicates;
}

function wordHash(word: string): number {
  let hash = 2166136261;
  for (let i = 0; i < word.length; i++) hash = Math.imul(hash ^ word.charCodeAt(i), 16777619);
  return hash >>> 0;
}

/** 53 bits: two 32-bit mixes of the words' hashes. */
function shingleHash(words: readonly number[], from: number, to: number): number {
  let low = 0x811c9dc5;
  let high = 0x9747b28c;
  for (let i = from; i < to; i++) {
    low = Math.imul(low ^ words[i]!, 0x01000193) ^ (low >>> 15);
    high = Math.imul(high ^ words[i]!, 0x85ebca6b) ^ (high >>> 13);
  }
  low = Math.imul(low ^ (low >>> 16), 0x7feb352d);
  return (high >>> 11) * 2 ** 32 + ((low ^ (low >>> 15)) >>> 0);
}
