/** Whether an extractor missed an answer that is there. */
import type { ItemValue } from '../metrics/metric.ts';
import { squadText } from '../metrics/squad.ts';
import type { Answered } from './answer.ts';

type Values = Readonly<Record<string, ItemValue>>;

const isWrong = (values: Values) => Object.values(values).every((value) => value === 0);

/** A worked solution ends in its answer. */
const shortAnswer = (target: string) => target.split('####').at(-1)!.trim();

/** The right answer stands in what was generated, as words of its own, and all that was judged is wrong. */
export function isMissed({ question, responses }: Answered, verdicts: readonly { readonly values: Values }[]): boolean {
  if (question.kind !== 'generate_until' || !verdicts.every(({ values }) => isWrong(values))) return false;
  const targets = typeof question.target === 'string' ? [question.target] : question.target;
  return responses.some((response) => {
    const said = ` ${squadText(response)} `;
    return targets.some((target) => {
      const wanted = squadText(shortAnswer(target));
      return wanted !== '' && said.includes(` ${wanted} `);
    });
  });
}
