import { integer, optional, text } from '../../corpus/recipe/schema.ts';
import { findAll } from '../python/regex.ts';
import { strip } from '../python/text.ts';
import { defineFilter, INVALID } from './filter.ts';

/** One of the matches of a pattern: the first group that matched something, or all of it where the pattern has no groups. */
export const regex = defineFilter<{ regex_pattern: string; group_select: number; fallback: string }>({
  help: 'one of the matches of regex_pattern, the first unless group_select says another (−1: the last); else fallback',
  options: {
    regex_pattern: optional(text, '#### (\\-?[0-9\\.\\,]+)'),
    group_select: optional(integer({ min: -1000, max: 1000 }), 0),
    fallback: optional(text, INVALID),
  },
  apply: (answers, { regex_pattern, group_select, fallback }) =>
    answers.map((answer) => {
      const match = findAll(regex_pattern, answer).at(group_select);
      if (match === undefined) return fallback;
      const chosen = typeof match === 'string' ? match : (match.find((group) => group !== '') ?? fallback);
      return strip(chosen);
    }),
});
