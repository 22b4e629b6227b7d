/** How the filters of other projects cut a text into words and lines, and count what repeats. Lengths are in characters (code points), as Python counts. */
import { characterCount } from '../../document.ts';

/** What Python's str.splitlines() splits at. */
const lineEnds = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;

/** As Python's str.splitlines(): no line after the last line end. */
export function splitLines(text: string): string[] {
  const lines = text.split(lineEnds);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

const contraction = /^(.+?)(n['’]t|['’](?:s|m|re|ve|ll|d))$/i;
const piece = /\.{2,}|…|[\p{L}\p{N}\p{M}]+(?:[.'’_-][\p{L}\p{N}\p{M}]+)*|[^\s\p{L}\p{N}\p{M}]/gu;

/**
 * Words as treebank tokenizers have them, near enough for shares of words: punctuation marks are words of their own, a hyphen joins, `don't` is two.
 * Source: what NLTK's word_tokenize, which the filters call, does with running text.
 */
export function treebankWords(text: string): string[] {
  const words: string[] = [];
  for (const [word] of text.matchAll(piece)) {
    const parts = contraction.exec(word);
    if (parts) words.push(parts[1]!, parts[2]!);
    else words.push(word);
  }
  return words;
}

const pieces = /[\p{L}\p{N}\p{M}_]+|[^\p{L}\p{N}\p{M}_\s]+/gu;

/** Runs of letters and digits, and runs of anything else but spaces: NLTK's WordPunctTokenizer. */
export function wordPunctuation(text: string): string[] {
  return text.match(pieces) ?? [];
}

export interface Repeated {
  /** Elements that came before. */
  readonly count: number;
  readonly characters: number;
}

export function repeatedElements(elements: readonly string[]): Repeated {
  const seen = new Set<string>();
  let count = 0;
  let characters = 0;
  for (const element of elements) {
    if (!seen.has(element)) seen.add(element);
    else {
      count++;
      characters += characterCount(element);
    }
  }
  return { count, characters };
}

/** Characters of the most frequent run of n words, all its appearances together; of several the first. 0 for a text that is too short. */
export function topGramCharacters(words: readonly string[], n: number): number {
  const counts = new Map<string, number>();
  let top = '';
  let most = 0;
  for (let i = 0; i + n <= words.length; i++) {
    const gram = words.slice(i, i + n).join(' ');
    counts.set(gram, (counts.get(gram) ?? 0) + 1);
  }
  for (const [gram, count] of counts) if (count > most) [top, most] = [gram, count];
  return characterCount(top) * most;
}

/** Characters of runs of n words that came before; after one, the search goes on behind it, so that none is counted twice. */
export function repeatedGramCharacters(words: readonly string[], n: number): number {
  const seen = new Set<string>();
  let characters = 0;
  for (let i = 0; i + n <= words.length; ) {
    const gram = words.slice(i, i + n).join('');
    if (seen.has(gram)) {
      characters += characterCount(gram);
      i += n;
    } else {
      seen.add(gram);
      i++;
    }
  }
  return characters;
}
