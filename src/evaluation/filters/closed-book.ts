import { strip } from '../python/text.ts';
import { defineFilter } from './filter.ts';

/**
 * What LLaMA takes for the answer to a question without a text.
 *
 * Source   arXiv:2302.13971 Appendix A: "cut at the first line break, final dot or comma".
 */
export const closedBook = defineFilter<object>({
  help: 'up to the first line break or comma, without a dot at the end: LLaMA, Appendix A',
  options: {},
  apply: (answers) =>
    answers.map((answer) => {
      const [start = ''] = answer.split(/[\n,]/);
      return strip(strip(start).replace(/\.$/, ''));
    }),
});
