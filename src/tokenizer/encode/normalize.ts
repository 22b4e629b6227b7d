/** Normalisation of text before SentencePiece BPE: spaces to `▁`, with a prefix and collapsing where the model asks for it. */
import { SPACE } from './merges.ts';

export interface MetaspaceNormalization {
  /** Where a `▁` is put in front: before every text between tokens, only at the very beginning, never. */
  readonly prefix: 'always' | 'first' | 'never';
  /** Leading, trailing and repeated spaces go (sentencepiece's remove_extra_whitespaces). */
  readonly collapse?: boolean;
  /** No prefix where the text begins with a space already (HF's Metaspace). */
  readonly unlessSpaced?: boolean;
}

export function metaspaceNormalizer(rule: MetaspaceNormalization): (text: string, atStart: boolean) => string {
  return (text, atStart) => {
    if (rule.collapse === true) text = text.replace(/^ +/, '').replace(/ {2,}/g, ' ');
    if (text === '') return '';
    text = text.replaceAll(' ', SPACE);
    const wanted = rule.prefix === 'always' || (rule.prefix === 'first' && atStart);
    if (wanted && !(rule.unlessSpaced === true && text.startsWith(SPACE))) text = SPACE + text;
    if (rule.collapse === true) {
      let end = text.length;
      while (end > 0 && text[end - 1] === SPACE) end--;
      text = text.slice(0, end);
    }
    return text;
  };
}
