import { finalAnswer, NO_ANSWER, statedAnswer } from '../mathematics/minerva.ts';
import { defineFilter, INVALID } from './filter.ts';

export const minervaAnswer = defineFilter<object>({
  help: 'what stands after "Final Answer: The final answer is", normalised as Minerva does',
  options: {},
  apply: (answers) =>
    answers.map((answer) => {
      const stated = statedAnswer(answer);
      return stated === NO_ANSWER ? INVALID : finalAnswer(stated);
    }),
});
