/** Where options name tokens by text: logit biases, forbidden ends, DRY's sequence breakers. */
import { ArgumentError } from '../../base/errors.ts';
import type { Tokenizer } from '../../tokenizer/tokenizer.ts';
import type { GenerationSettings } from '../options.ts';
import type { BreakerVocabulary } from '../sampler/dry.ts';

/** Additions to logits by token: a text biases each of its tokens, false and ignoreEos forbid. */
export function resolveBiases(
  { logitBias, ignoreEos }: Pick<GenerationSettings, 'logitBias' | 'ignoreEos'>,
  tokenizer: Tokenizer | null,
  eogIds: ReadonlySet<number>,
  vocabSize: number,
): Map<number, number> {
  const biases = new Map<number, number>();
  const add = (id: number, bias: number) => {
    const before = biases.get(id) ?? 0;
    biases.set(id, Math.min(before, bias) === Number.NEGATIVE_INFINITY ? Number.NEGATIVE_INFINITY : before + bias); // forbidden wins
  };
  for (const [token, value] of logitBias) {
    const bias = value === false ? Number.NEGATIVE_INFINITY : value;
    if (typeof token === 'number') {
      if (token >= vocabSize) {
        throw new ArgumentError(
          'generate.options',
          `generate: logitBias names token ${token}, expected one from 0 to ${vocabSize - 1}. Are these ids of another tokenizer?`,
        );
      }
      add(token, bias);
    } else if (tokenizer) for (const id of tokenizer.encode(token)) add(id, bias);
    else {
      throw new ArgumentError(
        'generate.tokenizer',
        `generate: logitBias names ${JSON.stringify(token)}, expected token ids, as the model's files hold no tokenizer. Give ids.`,
      );
    }
  }
  if (ignoreEos) for (const id of eogIds) if (id < vocabSize) add(id, Number.NEGATIVE_INFINITY);
  return biases;
}

/** A token's text in the middle of a text; bytes that are no whole character become U+FFFD. Empty beyond the tokenizer's pieces. */
export function tokenText(tokenizer: Tokenizer | null, id: number): string {
  return tokenizer && id < tokenizer.vocabSize ? utf8.decode(tokenizer.bytesOf(id)) : '';
}
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** The vocabulary as DRY sees it. */
export function breakerVocabulary(tokenizer: Tokenizer): BreakerVocabulary {
  return {
    size: tokenizer.vocabSize,
    pieceText: (id) => tokenText(tokenizer, id),
    encode: (text) => tokenizer.encode(text),
  };
}
