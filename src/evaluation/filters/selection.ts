import { integer } from '../../corpus/recipe/schema.ts';
import { defineFilter, INVALID } from './filter.ts';

export const takeFirst = defineFilter<object>({
  help: 'the first answer',
  options: {},
  apply: ([first = '']) => first,
});

export const takeFirstK = defineFilter<{ k: number }>({
  help: 'the first k answers',
  options: { k: integer({ min: 1 }) },
  apply(answers, { k }) {
    return answers.slice(0, k);
  },
});

/** The answer given most often, the first seen among equals. */
export function mostCommon(answers: readonly string[]): string | undefined {
  const counts = new Map<string, number>();
  for (const answer of answers) counts.set(answer, (counts.get(answer) ?? 0) + 1);
  let best: string | undefined;
  for (const [answer, count] of counts) if (best === undefined || count > counts.get(best)!) best = answer;
  return best;
}

export const majorityVote = defineFilter<object>({
  help: 'the answer given most often, the first seen among equals; answers without a match vote too',
  options: {},
  apply: (answers) => {
    const voted = mostCommon(answers);
    return voted === undefined ? [] : [voted];
  },
});

/** Minerva's maj1@k. */
export const majorityOfValid = defineFilter<object>({
  help: 'the answer given most often among those that an extractor found: maj1@k of the papers',
  options: {},
  apply: (answers) => [mostCommon(answers.filter((answer) => answer !== INVALID)) ?? INVALID],
});
