/**
 * TriviaQA's own scorer, which differs from SQuAD's: punctuation, typographic quotes and underscores become spaces, so that "U.S.A." is "u s".
 *
 * Source   Joshi et al. 2017, arXiv:1705.03551, and the rules that come with the data set.
 */
import { splitWords } from '../python/text.ts';
import { defineMetric, type TextEvidence } from './metric.ts';
import { mostCommonOverlap } from './words.ts';

export function triviaQaText(text: string): string {
  const spaced = text
    .replaceAll('_', ' ')
    .toLowerCase()
    .replace(/[!-/:-@[-`{-~‘’´]/g, ' ')
    .replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, ' ');
  return splitWords(spaced).join(' ');
}

export function triviaQaF1(answer: string, target: string): number {
  const [given, right] = [splitWords(triviaQaText(answer)), splitWords(triviaQaText(target))];
  const shared = mostCommonOverlap(given, right);
  if (shared === 0) return 0;
  const precision = shared / given.length;
  const recall = shared / right.length;
  return (2 * precision * recall) / (precision + recall);
}

const single = ({ answers }: TextEvidence) => (typeof answers === 'string' ? answers : (answers[0] ?? ''));
const targetsOf = ({ target }: TextEvidence) => (typeof target === 'string' ? [target] : target);

export const triviaQaEm = defineMetric<'generate_until'>({
  help: "the same words in order: TriviaQA's own scorer",
  kinds: ['generate_until'],
  aggregation: 'mean',
  higherIsBetter: true,
  score: (evidence) =>
    targetsOf(evidence).some((target) => triviaQaText(target) === triviaQaText(single(evidence))) ? 1 : 0,
});

export const triviaQaBestF1 = defineMetric<'generate_until'>({
  help: "F1 of the words: TriviaQA's own scorer",
  kinds: ['generate_until'],
  aggregation: 'mean',
  higherIsBetter: true,
  score: (evidence) => Math.max(0, ...targetsOf(evidence).map((target) => triviaQaF1(single(evidence), target))),
});
