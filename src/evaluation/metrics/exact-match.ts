import { pythonRegex } from '../python/regex.ts';
import { countCharacters, withoutPunctuation } from '../python/text.ts';
import type { MetricUse } from '../task/spec.ts';
import { defineMetric } from './metric.ts';

/**
 * Texts as exact_match compares them: patterns taken out first, then case, punctuation and digits. The harness holds them in an array of
 * fixed width, so that a letter that becomes two in lower case (İ) loses what has no room.
 */
export function comparable(texts: readonly string[], options: Omit<MetricUse, 'metric'>): readonly string[] {
  let results = texts;
  for (const pattern of options.regexes_to_ignore ?? []) {
    results = results.map((text) => text.replace(pythonRegex(pattern), ''));
  }
  if (options.ignore_case) {
    const width = Math.max(...results.map(countCharacters));
    results = results.map((text) => [...text.toLowerCase()].slice(0, width).join(''));
  }
  if (options.ignore_punctuation) results = results.map(withoutPunctuation);
  if (options.ignore_numbers) results = results.map((text) => text.replace(/[0-9]/g, ''));
  return results;
}

/** The answer is the target, or one of them, letter by letter. */
export const exactMatch = defineMetric<'generate_until'>({
  help: 'the answer is the target, or one of them; regexes_to_ignore, ignore_case, ignore_punctuation, ignore_numbers',
  kinds: ['generate_until'],
  aggregation: 'mean',
  higherIsBetter: true,
  score({ answers, target }, options) {
    const [answer] = comparable([typeof answers === 'string' ? answers : (answers[0] ?? '')], options);
    const targets = comparable(typeof target === 'string' ? [target] : target, options);
    return targets.some((text) => text === answer) ? 1 : 0;
  },
});
