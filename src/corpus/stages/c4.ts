/**
 * C4's heuristics: keep lines that read like sentences, drop pages that read like nothing.
 *
 * The paper and the two libraries that people run differ; each is a named variant, and each rule can be set by itself:
 *   paper       at least 3 words a line and 5 sentences a page
 *   tfds        5 words, 3 sentences (the constants stored in TensorFlow Datasets)
 *   datatrove   3 words, 5 sentences, and ' also ends a line
 * Sentences are counted by their closing marks (`sentenceCount`), not by NLTK's trained splitter.
 * Source: Raffel et al. 2019, arXiv:1910.10683 §2.2; reference facts of TFDS c4_utils and datatrove's C4QualityFilter.
 */

import { strip, wordCount } from '../dedup/normalise.ts';
import type { Document } from '../document.ts';
import type { Drop, LineLog, Stage } from './stage.ts';

export interface C4Rules {
  readonly minimumWordsPerLine: number;
  readonly minimumSentences: number;
  readonly maximumWordLength: number;
  readonly endMarks: readonly string[];
  readonly maximumCharacters: number | undefined;
  readonly dropCurlyBraces: boolean;
  readonly dropLoremIpsum: boolean;
  readonly dropJavascriptLines: boolean;
  readonly dropPolicyLines: boolean;
  readonly removeCitations: boolean;
}

const paper: C4Rules = {
  minimumWordsPerLine: 3,
  minimumSentences: 5,
  maximumWordLength: 1000,
  endMarks: ['.', '?', '!', '"'],
  maximumCharacters: undefined,
  dropCurlyBraces: true,
  dropLoremIpsum: true,
  dropJavascriptLines: true,
  dropPolicyLines: true,
  removeCitations: true,
};

export const c4Variants = {
  paper,
  tfds: { ...paper, minimumWordsPerLine: 5, minimumSentences: 3, maximumCharacters: 190_000 },
  datatrove: { ...paper, endMarks: [...paper.endMarks, "'"] },
} as const satisfies Record<string, C4Rules>;

const policyPhrases = [
  'terms of use',
  'privacy policy',
  'cookie policy',
  'uses cookies',
  'use of cookies',
  'use cookies',
];
const citation = /\[\d*\]|\[edit\]|\[citation needed\]/g;
/** What Python's str.splitlines() splits at. */
const lineEnds = /\r\n|[\n\r\v\f\x1c-\x1e\x85\u2028\u2029]/;

export function c4Quality(rules: C4Rules): Stage {
  return {
    name: 'c4',
    apply(document: Document, log: LineLog): Drop | undefined {
      const { text } = document;
      if (rules.maximumCharacters !== undefined && text.length > rules.maximumCharacters) {
        return { reason: `longer than ${rules.maximumCharacters} characters`, detail: `${text.length}` };
      }
      const kept: string[] = [];
      let sentences = 0;
      for (const [i, raw] of text.split(lineEnds).entries()) {
        const line = rules.removeCitations ? strip(raw).replace(citation, '') : strip(raw);
        const verdict = lineVerdict(line, rules);
        if (verdict?.page) return { reason: verdict.reason, detail: `line ${i}` };
        if (verdict) log.removed(verdict.reason, i, raw);
        else {
          kept.push(line);
          sentences += sentenceCount(line);
        }
      }
      if (sentences < rules.minimumSentences) {
        return { reason: `fewer than ${rules.minimumSentences} sentences`, detail: `${sentences} sentences` };
      }
      document.text = kept.join('\n');
      return undefined;
    },
  };
}

/** In the order of TFDS, which matters: a page with braces in a line that goes for another reason stays. */
function lineVerdict(line: string, rules: C4Rules): { reason: string; page?: true } | undefined {
  if (hasLongWord(line, rules.maximumWordLength)) return { reason: `a word longer than ${rules.maximumWordLength}` };
  if (!rules.endMarks.some((mark) => line.endsWith(mark)) || line.endsWith('...'))
    return { reason: 'no terminal punctuation' };
  if (wordCount(line) < rules.minimumWordsPerLine) return { reason: `fewer than ${rules.minimumWordsPerLine} words` };
  const lower = line.toLowerCase();
  if (rules.dropLoremIpsum && lower.includes('lorem ipsum')) return { reason: 'lorem ipsum', page: true };
  if (rules.dropJavascriptLines && lower.includes('javascript')) return { reason: 'javascript' };
  if (rules.dropCurlyBraces && lower.includes('{')) return { reason: 'curly brace', page: true };
  if (rules.dropPolicyLines && policyPhrases.some((phrase) => lower.includes(phrase)))
    return { reason: 'policy or cookie notice' };
  return undefined;
}

function hasLongWord(line: string, limit: number): boolean {
  return line.length > limit && line.split(/\s+/).some((word) => word.length > limit);
}

/** A mark, perhaps closing quotes or brackets, then the end or a space before something that is not a small letter. */
const sentenceEnd = /[.!?…]+["'”’»)\]]*(?=\s+[^\p{Ll}\s]|\s*$)/gu;
const abbreviation = /(?:^|\s)(?:Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|e\.g|i\.e|No|Vol|Fig|[A-Z])\.$/;

/** Sentences of one line; a line without any mark is one. */
export function sentenceCount(line: string): number {
  return strip(line) === '' ? 0 : splitSentences(line).filter((sentence) => strip(sentence) !== '').length;
}

/** Cuts after every sentence and every line; the pieces joined are the text again. */
export function splitSentences(text: string): string[] {
  const pieces: string[] = [];
  let from = 0;
  for (const line of text.split('\n')) {
    const lineEnd = from + line.length;
    let start = from;
    for (const match of line.matchAll(sentenceEnd)) {
      const end = match.index + match[0].length;
      if (end < line.length && abbreviation.test(line.slice(Math.max(0, end - 8), end))) continue;
      pieces.push(text.slice(start, from + end));
      start = from + end;
    }
    const next = Math.min(text.length, lineEnd + 1);
    const rest = text.slice(start, next);
    if (rest.trim() !== '' || pieces.length === 0) pieces.push(rest);
    else pieces[pieces.length - 1] += rest;
    from = next;
  }
  return pieces.filter((piece) => piece !== '');
}

/** Drops pages with a word of the list, bounded by anything but letters. The list is the user's: one word or phrase a line. */
export function badWords(words: readonly string[]): Stage {
  const escaped = words.map((word) => word.trim().toLowerCase()).filter((word) => word !== '');
  const pattern =
    escaped.length === 0
      ? undefined
      : new RegExp(
          `(?<!\\p{L})(?:${escaped.map((word) => word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('|')})(?!\\p{L})`,
          'u',
        );
  return {
    name: 'bad-words',
    apply({ text }: Document): Drop | undefined {
      const match = pattern?.exec(text.toLowerCase());
      return match ? { reason: 'a word of the list', detail: match[0] } : undefined;
    },
  };
}
