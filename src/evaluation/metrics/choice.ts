/**
 * Rules that pick one of several answers by their likelihoods. They differ in how answers of different lengths and of different
 * commonness are made comparable.
 *
 * Source   lm-evaluation-harness: acc, acc_norm, acc_bytes, acc_mutual_info; LLaMA (arXiv:2302.13971 §3): acc_characters, and
 *          acc_unconditional for OpenBookQA and BoolQ; Brown et al. 2020 (arXiv:2005.14165 §2.4): acc_tokens.
 */
import { countCharacters, strip } from '../python/text.ts';
import { type ChoiceEvidence, defineMetric } from './metric.ts';

/** The first of the largest; a NaN counts as the largest, as in NumPy. */
export function indexOfLargest(values: readonly number[]): number {
  const nan = values.findIndex(Number.isNaN);
  if (nan >= 0) return nan;
  let best = 0;
  for (const [i, value] of values.entries()) if (value > values[best]!) best = i;
  return best;
}

const isRight = (pick: number, gold: ChoiceEvidence['gold']): number =>
  (typeof gold === 'number' ? pick === gold : gold.includes(pick)) ? 1 : 0;

const encoder = new TextEncoder();

/** What each rule compares; undefined where something that it needs was not scored. */
export const choiceValues = {
  acc: ({ logLikelihoods }) => logLikelihoods,
  acc_norm: ({ logLikelihoods, choices }) => logLikelihoods.map((x, i) => x / countCharacters(choices[i]!)),
  acc_bytes: ({ logLikelihoods, choices }) => logLikelihoods.map((x, i) => x / encoder.encode(choices[i]!).length),
  acc_mutual_info: ({ logLikelihoods, afterNothing }) => logLikelihoods.map((x, i) => x - afterNothing![i]!),
  acc_characters: ({ logLikelihoods, continuations }) =>
    logLikelihoods.map((x, i) => x / countCharacters(strip(continuations[i]!))),
  acc_tokens: ({ logLikelihoods, tokens }) => logLikelihoods.map((x, i) => x / tokens![i]!),
  acc_unconditional: ({ logLikelihoods, afterNeutral }) => logLikelihoods.map((x, i) => x - afterNeutral![i]!),
} as const satisfies Record<string, (evidence: ChoiceEvidence) => readonly number[]>;

export type ChoiceRule = keyof typeof choiceValues;

export const pick = (rule: ChoiceRule, evidence: ChoiceEvidence): number =>
  indexOfLargest(choiceValues[rule](evidence));

const rule = (name: ChoiceRule, help: string, needs?: 'after nothing' | 'after neutral') =>
  defineMetric<'multiple_choice'>({
    help,
    kinds: ['multiple_choice'],
    aggregation: 'mean',
    higherIsBetter: true,
    ...(needs && { needs }),
    score: (evidence) => isRight(pick(name, evidence), evidence.gold),
  });

export const accNorm = rule('acc_norm', 'log p / characters of the choice');
export const accBytes = rule('acc_bytes', 'log p / bytes of the choice in UTF-8');
export const accMutualInfo = rule('acc_mutual_info', 'log p − log p after nothing', 'after nothing');
export const accCharacters = rule('acc_characters', 'log p / characters of what was scored: LLaMA');
export const accTokens = rule('acc_tokens', 'log p / tokens: GPT-3');
export const accUnconditional = rule(
  'acc_unconditional',
  'log p − log p after a neutral text ("Answer:"): GPT-3, and LLaMA for OpenBookQA and BoolQ',
  'after neutral',
);

/** Of several choices the likeliest is right; of one continuation, every token was the likeliest. */
export const acc = defineMetric<'multiple_choice' | 'loglikelihood'>({
  help: 'the likeliest choice is right; or: greedy generation would have written the target',
  kinds: ['multiple_choice', 'loglikelihood'],
  aggregation: 'mean',
  higherIsBetter: true,
  score: (evidence) =>
    'choices' in evidence ? isRight(pick('acc', evidence), evidence.gold) : evidence.isGreedy ? 1 : 0,
});
