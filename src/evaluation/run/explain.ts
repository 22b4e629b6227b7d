/** One item in words: what was asked, what came of it, and why two rule sets judge it differently. */
import { choiceValues, indexOfLargest } from '../metrics/choice.ts';
import type { ChoiceEvidence } from '../metrics/metric.ts';
import { evidenceOf, type ItemResult, type TaskResult } from './evaluate.ts';

const LONGEST = 1200;

/** A long text by its end, which is the question. */
const ending = (text: string, most = LONGEST) => (text.length > most ? `… ${text.slice(text.length - most)}` : text);
const number = (value: number) => value.toFixed(3);

/** Prompt, answers, extraction and verdicts of an item. */
export function showItem({ task, rules, spec }: TaskResult, item: ItemResult): string {
  const { question, scores, responses, cutTokens } = item.answered;
  const lines = [
    `── ${task}, item ${item.place}, rules of the ${rules}${cutTokens > 0 ? `, ${cutTokens} tokens of the beginning cut` : ''}`,
  ];
  switch (question.kind) {
    case 'multiple_choice': {
      const sameContext = question.requests.every(({ context }) => context === question.requests[0]!.context);
      if (sameContext) lines.push(ending(question.requests[0]!.context));
      const gold = typeof question.gold === 'number' ? [question.gold] : question.gold;
      for (const [i, { context, continuation }] of question.requests.entries()) {
        const { logLikelihood, tokens } = scores[i]!;
        const text = sameContext ? continuation : `${ending(context, 200)} ▸${continuation}`;
        lines.push(
          `  ${gold.includes(i) ? '✓' : ' '} ${number(logLikelihood).padStart(10)} of ${tokens} tokens  ${JSON.stringify(ending(text, 300))}`,
        );
      }
      break;
    }
    case 'loglikelihood':
      lines.push(
        ending(question.request.context),
        `  ${number(scores[0]!.logLikelihood)}  ${JSON.stringify(question.request.continuation)}`,
      );
      break;
    case 'loglikelihood_rolling':
      lines.push(ending(question.text, 300), `  ${number(scores[0]!.logLikelihood)} of ${scores[0]!.tokens} tokens`);
      break;
    case 'generate_until': {
      lines.push(ending(question.context));
      for (const response of responses.slice(0, 3)) lines.push(`  ▸ ${JSON.stringify(ending(response, 600))}`);
      if (responses.length > 3) lines.push(`  ▸ … ${responses.length - 3} more`);
      const targets = typeof question.target === 'string' ? [question.target] : question.target;
      lines.push(
        `  right: ${targets
          .slice(0, 5)
          .map((text) => JSON.stringify(ending(text, 200)))
          .join(' or ')}`,
      );
    }
  }
  for (const { filter, answers, values } of item.verdicts) {
    const taken =
      answers === null
        ? ''
        : ` took ${JSON.stringify(ending(typeof answers === 'string' ? answers : answers.join(' | '), 200))}:`;
    const found = Object.entries(values).map(
      ([name, value]) => `${name} ${typeof value === 'number' ? value : value[0]}`,
    );
    lines.push(`  ${spec.filter_list ? filter : 'judged'}${taken} ${found.join(', ')}`);
  }
  if (item.missed) lines.push('  the right answer is in the text, and no filter found it');
  return lines.join('\n');
}

const firstValue = (item: ItemResult) => Object.values(item.verdicts[0]!.values)[0];

/** Items that the first metric of one rule set finds right and that of the other wrong, with what each went by. */
export function differences(harness: TaskResult, paper: TaskResult): string[] {
  return harness.items.flatMap((mine, i) => {
    const theirs = paper.items[i]!;
    const [a, b] = [firstValue(mine), firstValue(theirs)];
    if (a === b) return [];
    const lines = [`── ${harness.task}, item ${mine.place}: harness ${a}, paper ${b}`];
    const prompts = [mine, theirs].map(promptOf);
    if (prompts[0] !== prompts[1]) lines.push(...inWords('asked', ending(prompts[0]!, 160), ending(prompts[1]!, 160)));
    lines.push(...inWords('went by', goneBy(harness, mine), goneBy(paper, theirs)));
    return [lines.join('\n')];
  });
}

const inWords = (what: string, harness: string, paper: string) => [
  `  ${what}  harness: ${harness}`,
  `  ${' '.repeat(what.length)}  paper:   ${paper}`,
];

function promptOf({ answered: { question } }: ItemResult): string {
  if (question.kind === 'multiple_choice') return JSON.stringify(question.requests.at(-1)!.context);
  if (question.kind === 'generate_until') return JSON.stringify(question.context);
  return JSON.stringify(question.kind === 'loglikelihood' ? question.request.context : question.text);
}

/** Which choice a rule took and by what numbers; which text a filter took. */
function goneBy({ spec }: TaskResult, item: ItemResult): string {
  const { question } = item.answered;
  const [{ metric }] = spec.metric_list as readonly [{ metric: string }];
  if (question.kind === 'multiple_choice' && metric in choiceValues) {
    const evidence = evidenceOf(item.doc, item.answered, null, undefined) as ChoiceEvidence;
    const values = choiceValues[metric as keyof typeof choiceValues](evidence);
    const pick = indexOfLargest(values);
    return `${metric}: ${values.map(number).join(', ')} → choice ${pick} ${JSON.stringify(ending(question.choices[pick]!, 60))}`;
  }
  const { filter, answers } = item.verdicts[0]!;
  return `${filter}: ${JSON.stringify(answers)}`;
}
