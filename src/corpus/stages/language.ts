import type { Document } from '../document.ts';
import type { FastText } from '../language/fasttext.ts';
import type { Drop, Stage } from './stage.ts';

export interface LanguageOptions {
  /** A document whose best label is less probable than this has no language. CCNet: 0.5. */
  readonly threshold: number;
  /** Languages that go on; all when absent. */
  readonly keep: readonly string[] | undefined;
  /** What stands for line ends, which fastText reads as the end of the text. CCNet deletes them. */
  readonly lineEnd: string;
}

/** fastText language identification over the whole document: attributes `language` and `languageScore`. arXiv:1911.00359 §3.3. */
export function identifyLanguage(model: FastText, { threshold, keep, lineEnd }: LanguageOptions): Stage {
  return {
    name: 'language',
    apply(document: Document): Drop | undefined {
      const best = model.predict(document.text.replaceAll('\n', lineEnd))[0];
      if (!best) return { reason: 'no language found', detail: 'no known word or n-gram' };
      document.attributes.languageScore = Math.round(best.probability * 10_000) / 10_000;
      if (!(best.probability >= threshold)) {
        return { reason: `language score under ${threshold}`, detail: `${best.label} ${best.probability.toFixed(3)}` };
      }
      document.attributes.language = best.label;
      if (keep && !keep.includes(best.label)) return { reason: 'language not kept', detail: best.label };
      return undefined;
    },
  };
}

export interface ClassifierOptions {
  readonly label: string;
  readonly attribute: string;
  /** Documents less probable than this go; without it the score is only noted. RedPajama: 0.25. */
  readonly threshold: number | undefined;
}

/**
 * A fastText supervised classifier, such as LLaMA's "could be a reference in Wikipedia": notes p(label) and may drop.
 * Source: arXiv:2302.13971 §2.1; threshold and labels of RedPajama v1.
 */
export function classify(model: FastText, { label, attribute, threshold }: ClassifierOptions): Stage {
  return {
    name: `classifier ${attribute}`,
    apply(document: Document): Drop | undefined {
      const probability = model.probability(document.text.replaceAll('\n', ' '), label);
      document.attributes[attribute] = Math.round(probability * 10_000) / 10_000;
      if (threshold === undefined || probability >= threshold) return undefined;
      return { reason: `p(${label}) under ${threshold}`, detail: probability.toFixed(3) };
    },
  };
}
