/**
 * Reading comprehension: words that an answer shares with a right one.
 *
 * Source   Rajpurkar et al. 2016, arXiv:1606.05250 (SQuAD); Choi et al. 2018, arXiv:1808.07036 §4 (QuAC).
 */
import { splitWords, withoutPunctuation } from '../python/text.ts';
import { defineMetric, type TextEvidence } from './metric.ts';
import { mostCommonOverlap } from './words.ts';

/** Small letters, no punctuation, no articles, single spaces. */
export function squadText(text: string): string {
  const plain = withoutPunctuation(text.toLowerCase());
  return splitWords(plain.replace(/(?<![\p{L}\p{N}_])(?:a|an|the)(?![\p{L}\p{N}_])/gu, ' ')).join(' ');
}

/** F1 of the words; of texts that are both without words 1, of one such 0. */
export function wordF1(answer: string, target: string): number {
  const [given, right] = [splitWords(squadText(answer)), splitWords(squadText(target))];
  if (given.length === 0 || right.length === 0) return given.length === right.length ? 1 : 0;
  const shared = mostCommonOverlap(given, right);
  if (shared === 0) return 0;
  const precision = shared / given.length;
  const recall = shared / right.length;
  return (2 * precision * recall) / (precision + recall);
}

const single = ({ answers }: TextEvidence) => (typeof answers === 'string' ? answers : (answers[0] ?? ''));
const targetsOf = ({ target }: TextEvidence) => (typeof target === 'string' ? [target] : target);

/** A question without an answer in the text has the target ''. */
export const em = defineMetric<'generate_until'>({
  help: 'the same words in order, without case, punctuation and articles: SQuAD, and LLaMA for questions without a text',
  kinds: ['generate_until'],
  aggregation: 'mean',
  higherIsBetter: true,
  score: (evidence) =>
    targetsOf(evidence).some((target) => squadText(target) === squadText(single(evidence))) ? 1 : 0,
});

export const f1 = defineMetric<'generate_until'>({
  help: 'F1 of the words, with the target that fits best: SQuAD',
  kinds: ['generate_until'],
  aggregation: 'mean',
  higherIsBetter: true,
  score: (evidence) => Math.max(0, ...targetsOf(evidence).map((target) => wordF1(single(evidence), target))),
});

const UNANSWERABLE = 'CANNOTANSWER';

/**
 * QuAC's F1: with several references, each is left out once, so that people and models are judged by as many. Where most references say
 * that there is no answer, only that is right.
 */
export const quacF1 = defineMetric<'generate_until'>({
  help: 'F1 of the words, each reference left out once: QuAC',
  kinds: ['generate_until'],
  aggregation: 'mean',
  higherIsBetter: true,
  score(evidence) {
    const answer = single(evidence);
    let references = targetsOf(evidence);
    const unanswerable = references.filter((text) => text === UNANSWERABLE).length;
    references =
      unanswerable >= references.length / 2 ? [UNANSWERABLE] : references.filter((text) => text !== UNANSWERABLE);
    const best = (among: readonly string[]) =>
      Math.max(
        ...among.map((text) =>
          text === UNANSWERABLE || answer === UNANSWERABLE ? Number(text === answer) : wordF1(answer, text),
        ),
      );
    if (references.length === 1) return best(references);
    const each = references.map((_, left) => best(references.filter((_, i) => i !== left)));
    return each.reduce((sum, value) => sum + value, 0) / each.length;
  },
});
