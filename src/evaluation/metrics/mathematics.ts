import { isAgiEvalCorrect } from '../mathematics/agieval.ts';
import { sameExpression } from '../mathematics/expressions.ts';
import { isHendrycksEqual } from '../mathematics/hendrycks.ts';
import { isMinervaCorrect } from '../mathematics/minerva.ts';
import { defineMetric, type TextEvidence } from './metric.ts';

const single = ({ answers }: TextEvidence) => (typeof answers === 'string' ? answers : (answers[0] ?? ''));

/** What stands between the first and the last dollar sign, or all of it. */
export function betweenDollars(text: string): string {
  const first = text.indexOf('$');
  const last = text.lastIndexOf('$');
  return first === last ? text : text.slice(first + 1, last);
}

export const hendrycksMath = defineMetric<'generate_until'>({
  help: "the answer between the dollar signs is the document's, by MATH's text equivalence",
  kinds: ['generate_until'],
  aggregation: 'mean',
  higherIsBetter: true,
  score: (evidence) => (isHendrycksEqual(betweenDollars(single(evidence)), String(evidence.doc.answer)) ? 1 : 0),
});

export const minervaMath = defineMetric<'generate_until'>({
  help: "the stated final answer is the same expression as the document's: Minerva",
  kinds: ['generate_until'],
  aggregation: 'mean',
  higherIsBetter: true,
  score: (evidence) => (isMinervaCorrect(single(evidence), String(evidence.doc.answer)) ? 1 : 0),
});

export const agiEvalMath = defineMetric<'generate_until'>({
  help: "the stated answer is the document's, by MATH's text equivalence: AGIEval",
  kinds: ['generate_until'],
  aggregation: 'mean',
  higherIsBetter: true,
  score: (evidence) => (isAgiEvalCorrect(single(evidence), String(evidence.doc.answer)) ? 1 : 0),
});

export const sameAsTarget = defineMetric<'generate_until'>({
  help: 'the answer, extracted already, is the same expression as the target',
  kinds: ['generate_until'],
  aggregation: 'mean',
  higherIsBetter: true,
  score: (evidence) =>
    sameExpression(single(evidence), typeof evidence.target === 'string' ? evidence.target : (evidence.target[0] ?? ''))
      ? 1
      : 0,
});
