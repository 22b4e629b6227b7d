import { splitAtSpaces } from '../python/text.ts';
import { defineMetric } from './metric.ts';

/** exp of the mean −log p of a target, items being counted alike: LAMBADA. */
export const perplexity = defineMetric<'loglikelihood'>({
  help: 'exp(− mean log p of a target)',
  kinds: ['loglikelihood'],
  aggregation: 'perplexity',
  higherIsBetter: false,
  score: ({ logLikelihood }) => logLikelihood,
});

const bytes = (text: string) => new TextEncoder().encode(text).length;

export const wordPerplexity = defineMetric<'loglikelihood_rolling'>({
  help: 'exp(− log p / words), words being what space separates',
  kinds: ['loglikelihood_rolling'],
  aggregation: 'weighted_perplexity',
  higherIsBetter: false,
  score: ({ logLikelihood, text }) => [logLikelihood, splitAtSpaces(text).length],
});

export const bytePerplexity = defineMetric<'loglikelihood_rolling'>({
  help: 'exp(− log p / bytes)',
  kinds: ['loglikelihood_rolling'],
  aggregation: 'weighted_perplexity',
  higherIsBetter: false,
  score: ({ logLikelihood, text }) => [logLikelihood, bytes(text)],
});

export const bitsPerByte = defineMetric<'loglikelihood_rolling'>({
  help: '− log₂ p / bytes',
  kinds: ['loglikelihood_rolling'],
  aggregation: 'bits_per_byte',
  higherIsBetter: false,
  score: ({ logLikelihood, text }) => [logLikelihood, bytes(text)],
});
