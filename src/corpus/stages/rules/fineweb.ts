/**
 * FineWeb's own rules, which it found by comparing lists of statistics: lines without an end mark, short lines, repeated lines, lists.
 * Source: Penedo et al. 2024, arXiv:2406.17557 §3.6; datatrove's FineWebQualityFilter for what is counted, where the paper does not say.
 */
import { characterCount, type Document } from '../../document.ts';
import type { Drop, Stage } from '../stage.ts';
import { repeatedElements, treebankWords } from './words.ts';

export interface FineWebRules {
  /** Least share of lines that end with a mark. */
  readonly minimumMarkedLines: number;
  /** Texts without any such line stay; for languages and tables. */
  readonly allowNone: boolean;
  readonly maximumShortLines: number;
  /** A line of at most so many characters is short. */
  readonly shortLine: number;
  readonly maximumRepeatedCharacters: number;
  readonly maximumLinesPerWord: number;
  readonly endMarks: readonly string[];
}

export const fineWebDefaults: FineWebRules = {
  minimumMarkedLines: 0.12,
  allowNone: false,
  maximumShortLines: 0.67,
  shortLine: 30,
  maximumRepeatedCharacters: 0.01,
  maximumLinesPerWord: 0.3,
  endMarks: ['.', "'", '"', '!', '?', '。', '！', '？', '…', '”', '’', '।', '؟', '۔'],
};

export function fineWeb(rules: FineWebRules): Stage {
  return {
    name: 'fineweb',
    apply({ text }: Document): Drop | undefined {
      const lines = text.split('\n').filter((line) => line.trim() !== '');
      if (lines.length === 0) return { reason: 'no text' };
      const marked = lines.filter((line) => rules.endMarks.some((mark) => line.endsWith(mark))).length / lines.length;
      if (marked < rules.minimumMarkedLines && !(marked === 0 && rules.allowNone))
        return drop('too few lines end with a mark', marked);
      const short = lines.filter((line) => characterCount(line) <= rules.shortLine).length / lines.length;
      if (short > rules.maximumShortLines) return drop('too many short lines', short);
      const repeated = repeatedElements(lines).characters / characterCount(text.replaceAll('\n', ''));
      if (repeated > rules.maximumRepeatedCharacters) return drop('too much text in repeated lines', repeated);
      const ends = text.split('\n').length - 1;
      const list = ends / Math.max(1, treebankWords(text).length);
      if (list > rules.maximumLinesPerWord) return drop('too many lines for its words', list);
      return undefined;
    },
  };
}

function drop(reason: string, measured: number): Drop {
  return { reason, detail: String(Number(measured.toPrecision(4))) };
}
