/**
 * CCNet's quality score: perplexity under a 5-gram model of Wikipedia in the document's language.
 *
 *   perplexity = 10^(−Σ log10 p(line) / Σ (words(line) + 1))        rounded to 0.1, the +1 for </s>
 *
 * The text is normalised as CCNet does, cut into SentencePiece pieces, and scored as sentences. Low is like Wikipedia: head; then middle, tail.
 * cc_net's own code deletes line ends before it scores, so that a document is one sentence whose lines run together
 * (`sentences: document`); `line` scores each line, as the paper says.
 * Source: arXiv:1911.00359 §3.4; cutoffs: cc_net's 30th and 60th percentiles.
 */

import { normaliseForLanguageModel } from '../dedup/normalise.ts';
import type { Document } from '../document.ts';
import type { SentenceModel } from '../ngram/file.ts';
import type { Drop, Stage } from './stage.ts';

export interface PerplexityModel {
  readonly model: SentenceModel;
  /** Text → the words of the language model, by the model's scoringId. */
  readonly words: (text: string) => Int32Array;
}

export type SentenceUnit = 'line' | 'document';

/** Attribute `perplexity`, for documents whose language has a model; others pass without it. */
export function scorePerplexity(
  modelOf: (language: string) => PerplexityModel | undefined,
  sentences: SentenceUnit,
): Stage {
  return {
    name: 'perplexity',
    apply(document: Document): Drop | undefined {
      const { language } = document.attributes;
      const scorer = typeof language === 'string' ? modelOf(language) : undefined;
      if (scorer) document.attributes.perplexity = perplexity(document.text, scorer, sentences);
      return undefined;
    },
  };
}

export function perplexity(text: string, scorer: PerplexityModel, sentences: SentenceUnit): number {
  let log10 = 0;
  let words = 0;
  for (const sentence of sentences === 'line' ? text.split('\n') : [text]) {
    const normalised = normaliseForLanguageModel(sentence);
    if (normalised === '') continue;
    const ids = scorer.words(normalised);
    log10 += scorer.model.scoreIds(ids);
    words += ids.length + 1;
  }
  return words === 0 ? 0 : Math.round(10 ** (-log10 / words) * 10) / 10;
}

/** language → [end of head, end of middle]; a perplexity on the border belongs to the worse bucket. */
export type Cutoffs = Readonly<Record<string, readonly [number, number]>>;

/** cc_net's cutoff table at the percentiles it uses, for the languages it ships models of. Only right with those models. */
export const ccnetCutoffs: Cutoffs = {
  en: [340, 520],
  de: [370, 590],
  fr: [180, 330],
  es: [180, 290],
  it: [220, 360],
  ru: [210, 310],
  pl: [160, 260],
  pt: [170, 270],
  nl: [430, 650],
  uk: [140, 220],
  cs: [820, 1140],
};

/** Attribute `bucket`: head, middle or tail; `all` where there is no perplexity or no cutoff. Documents of other buckets go. */
export function assignBucket(cutoffs: Cutoffs, keep: readonly string[] | undefined): Stage {
  return {
    name: 'bucket',
    apply(document: Document): Drop | undefined {
      const { language, perplexity } = document.attributes;
      const cutoff = typeof language === 'string' && Object.hasOwn(cutoffs, language) ? cutoffs[language] : undefined;
      const bucket = bucketOf(typeof perplexity === 'number' ? perplexity : undefined, cutoff);
      document.attributes.bucket = bucket;
      if (!keep || keep.includes(bucket)) return undefined;
      return { reason: `bucket ${bucket} not kept`, detail: `perplexity ${perplexity ?? 'unknown'}` };
    },
  };
}

export function bucketOf(perplexity: number | undefined, cutoff: readonly [number, number] | undefined): string {
  if (perplexity === undefined || perplexity < 0 || !cutoff) return 'all';
  if (perplexity < cutoff[0]) return 'head';
  return perplexity < cutoff[1] ? 'middle' : 'tail';
}

/** cc_net's cutoff.csv: a header of languages, then one row per percentile. */
export function parseCutoffs(csv: string, headPercentile = 30, tailPercentile = 60): Cutoffs {
  const [header, ...rows] = csv
    .trim()
    .split(/\r?\n/)
    .map((line) => line.split(','));
  const row = (percentile: number) => rows.find((cells) => Number(cells[0]) === percentile);
  const head = row(headPercentile);
  const tail = row(tailPercentile);
  if (!header || !head || !tail) return {};
  return Object.fromEntries(
    header.slice(1).map((language, i) => [language, [Number(head[i + 1]), Number(tail[i + 1])] as const]),
  );
}
