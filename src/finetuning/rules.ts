/** Judges that need no model: what an answer must or must not hold. */
import { ArgumentError } from '../base/errors.ts';

export const ruleNames = ['contains', 'avoids', 'answer'] as const;
export type RuleName = (typeof ruleNames)[number];

export interface Rule {
  /** 0 to 1. */
  score(answer: string, expected: string | null): number;
}

/**
 * contains   the share of the words that the answer holds
 * avoids     1 without any of the words, 0 with one
 * answer     1 where the last number of the answer is that of the row's `answer`, or, without numbers, where its words are held
 */
export function createRule(name: RuleName, words: readonly string[]): Rule {
  const patterns = words.map((word) => new RegExp(`(?<![\\p{L}\\p{N}])${escaped(word)}(?![\\p{L}\\p{N}])`, 'iu'));
  switch (name) {
    case 'contains':
      return { score: (answer) => patterns.filter((pattern) => pattern.test(answer)).length / patterns.length };
    case 'avoids':
      return { score: (answer) => (patterns.some((pattern) => pattern.test(answer)) ? 0 : 1) };
    case 'answer':
      return { score: answerScore };
    default:
      return name satisfies never;
  }
}

function answerScore(answer: string, expected: string | null): number {
  if (expected === null) {
    throw new ArgumentError(
      'finetune.no-answer',
      'judge.rule answer: a prompt has no `answer` to compare with. Give one in each row.',
    );
  }
  const [wanted, found] = [lastNumber(expected), lastNumber(answer)];
  if (wanted !== null) return found === wanted ? 1 : 0;
  return answer.toLowerCase().includes(expected.trim().toLowerCase()) ? 1 : 0;
}

function lastNumber(text: string): number | null {
  const numbers = text.replace(/(?<=\d),(?=\d{3})/g, '').match(/-?\d+(?:\.\d+)?/g);
  return numbers === null ? null : Number(numbers.at(-1));
}

function escaped(word: string): string {
  return word.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');
}
