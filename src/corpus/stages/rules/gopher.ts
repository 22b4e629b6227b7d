/**
 * Gopher's rules for web pages: length, words, symbols, bullets and stop words (quality), and how much of a text says the same again (repetition).
 * Source: Rae et al. 2021, arXiv:2112.11446, appendix A.1.1 and table A1; the order of the rules and what counts as a word as in datatrove.
 */
import { characterCount, type Document } from '../../document.ts';
import type { Drop, Stage } from '../stage.ts';
import {
  hasLetter,
  isPunctuation,
  repeatedElements,
  repeatedGramCharacters,
  splitLines,
  topGramCharacters,
  treebankWords,
  WordRuns,
} from './words.ts';

export interface GopherQuality {
  readonly minimumWords: number;
  readonly maximumWords: number;
  /** Characters. */
  readonly minimumMeanWordLength: number;
  readonly maximumMeanWordLength: number;
  readonly maximumSymbolsPerWord: number;
  readonly maximumBulletLines: number;
  readonly maximumEllipsisLines: number;
  readonly minimumWordsWithLetter: number;
  readonly minimumStopWords: number;
  readonly stopWords: readonly string[];
}

export const gopherQualityDefaults: GopherQuality = {
  minimumWords: 50,
  maximumWords: 100_000,
  minimumMeanWordLength: 3,
  maximumMeanWordLength: 10,
  maximumSymbolsPerWord: 0.1,
  maximumBulletLines: 0.9,
  maximumEllipsisLines: 0.3,
  minimumWordsWithLetter: 0.8,
  minimumStopWords: 2,
  stopWords: ['the', 'be', 'to', 'of', 'and', 'that', 'have', 'with'],
};

const bullet = /^\s*[•-]/u;
const endEllipsis = /(?:\.\.\.|…)\s*$/u;

export function gopherQuality(rules: GopherQuality): Stage {
  const stopWords = new Set(rules.stopWords);
  const longestStopWord = Math.max(0, ...rules.stopWords.map(({ length }) => length));
  return {
    name: 'gopher-quality',
    apply({ text }: Document): Drop | undefined {
      const tokens = treebankWords(text);
      const words = tokens.filter((token) => !isPunctuation(token));
      const all = tokens.length;
      if (words.length < rules.minimumWords) return drop(`fewer than ${rules.minimumWords} words`, words.length);
      if (words.length > rules.maximumWords) return drop(`more than ${rules.maximumWords} words`, words.length);
      const mean = words.reduce((sum, word) => sum + characterCount(word), 0) / words.length;
      if (mean < rules.minimumMeanWordLength)
        return drop(`words shorter than ${rules.minimumMeanWordLength} on average`, mean);
      if (mean > rules.maximumMeanWordLength)
        return drop(`words longer than ${rules.maximumMeanWordLength} on average`, mean);
      const hashes = count(text, '#') / all;
      if (hashes > rules.maximumSymbolsPerWord) return drop('too many # for its words', hashes);
      const ellipses = (count(text, '...') + count(text, '…')) / all;
      if (ellipses > rules.maximumSymbolsPerWord) return drop('too many ellipses for its words', ellipses);
      const lines = splitLines(text);
      const bullets = share(lines, (line) => bullet.test(line));
      if (bullets > rules.maximumBulletLines) return drop('too many lines begin with a bullet', bullets);
      const ends = share(lines, (line) => endEllipsis.test(line));
      if (ends > rules.maximumEllipsisLines) return drop('too many lines end with an ellipsis', ends);
      const letters = share(tokens, hasLetter);
      if (letters < rules.minimumWordsWithLetter) return drop('too many words without a letter', letters);
      const stops = tokens.filter((token) => token.length <= longestStopWord && stopWords.has(token)).length;
      if (stops < rules.minimumStopWords) return drop(`fewer than ${rules.minimumStopWords} stop words`, stops);
      return undefined;
    },
  };
}

export interface GopherRepetition {
  readonly lines: number;
  readonly paragraphs: number;
  readonly lineCharacters: number;
  readonly paragraphCharacters: number;
  /** Largest share of characters in the most frequent 2-, 3- and 4-gram. */
  readonly topGrams: Readonly<Record<number, number>>;
  /** Largest share of characters in 5- to 10-grams that came before. */
  readonly repeatedGrams: Readonly<Record<number, number>>;
}

export const gopherRepetitionDefaults: GopherRepetition = {
  lines: 0.3,
  paragraphs: 0.3,
  lineCharacters: 0.2,
  paragraphCharacters: 0.2,
  topGrams: { 2: 0.2, 3: 0.18, 4: 0.16 },
  repeatedGrams: { 5: 0.15, 6: 0.14, 7: 0.13, 8: 0.12, 9: 0.11, 10: 0.1 },
};

export function gopherRepetition(limits: GopherRepetition): Stage {
  return {
    name: 'gopher-repetition',
    apply({ text }: Document): Drop | undefined {
      const characters = characterCount(text);
      if (characters === 0) return undefined;
      const paragraphs = text.trim().split(/\n{2,}/);
      const repeatedParagraphs = repeatedElements(paragraphs);
      let measured = repeatedParagraphs.count / paragraphs.length;
      if (measured > limits.paragraphs) return drop('too many repeated paragraphs', measured);
      measured = repeatedParagraphs.characters / characters;
      if (measured > limits.paragraphCharacters) return drop('too much text in repeated paragraphs', measured);
      const lines = text.split(/\n+/);
      const repeatedLines = repeatedElements(lines);
      measured = repeatedLines.count / lines.length;
      if (measured > limits.lines) return drop('too many repeated lines', measured);
      measured = repeatedLines.characters / characters;
      if (measured > limits.lineCharacters) return drop('too much text in repeated lines', measured);
      const words = treebankWords(text);
      const separated = new WordRuns(words, true);
      for (const [n, limit] of Object.entries(limits.topGrams)) {
        measured = topGramCharacters(separated, Number(n)) / characters;
        if (measured > limit) return drop(`too much text in one ${n}-gram`, measured);
      }
      const joined = new WordRuns(words, false);
      for (const [n, limit] of Object.entries(limits.repeatedGrams)) {
        measured = repeatedGramCharacters(joined, Number(n)) / characters;
        if (measured > limit) return drop(`too much text in repeated ${n}-grams`, measured);
      }
      return undefined;
    },
  };
}

function drop(reason: string, measured: number): Drop {
  return { reason, detail: String(Number(measured.toPrecision(4))) };
}

function share<T>(values: readonly T[], has: (value: T) => boolean): number {
  return values.length === 0 ? 0 : values.filter(has).length / values.length;
}

function count(text: string, part: string): number {
  let found = 0;
  for (let at = text.indexOf(part); at >= 0; at = text.indexOf(part, at + part.length)) found++;
  return found;
}
