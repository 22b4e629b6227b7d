import { ArgumentError } from '../base/errors.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import { type ChatPrompt, encodeChat } from './chat-prompt.ts';
import type { Prompt } from './generation.ts';

/**
 * A prompt as token ids: text with the beginning-of-sequence token that the model's files ask for, ids as they are, messages
 * through the chat template (the prompt's, else the model's). Throws ArgumentError.
 */
export function encodePrompt(
  model: {
    readonly tokenizer: Tokenizer | null;
    readonly chatTemplate: string | null;
    readonly vocabSize: number;
    /** The clock that templates read. */
    readonly now?: (() => Date) | undefined;
  },
  prompt: Prompt,
  { parseSpecial }: { readonly parseSpecial: boolean },
): Uint32Array {
  const { tokenizer, chatTemplate, vocabSize, now } = model;
  if (typeof prompt !== 'string' && !isChat(prompt)) return checkIds('generate', prompt, vocabSize);
  if (!tokenizer) throw noTokenizer(typeof prompt === 'string' ? 'a text' : 'messages');
  const ids =
    typeof prompt === 'string'
      ? tokenizer.encode(prompt, { bos: tokenizer.addBos, special: parseSpecial ? 'parse' : 'text' })
      : encodeChat(tokenizer, { ...prompt, template: prompt.template ?? chatTemplate ?? undefined }, now);
  return checkIds('generate', ids, vocabSize);
}

/** Ids that a caller gave: at least one, whole numbers, of this vocabulary. Throws ArgumentError `<where>.prompt`. */
export function checkIds(where: string, ids: ArrayLike<number>, vocabSize: number): Uint32Array {
  const fail = (problem: string, advice: string): never => {
    throw new ArgumentError(`${where}.prompt`, `${where}: ${problem}. ${advice}`);
  };
  if (typeof ids !== 'object' || ids === null || typeof ids.length !== 'number') {
    fail(`the prompt is ${String(ids)}, expected a text, token ids or messages`, 'Give a string or an array of ids.');
  }
  if (ids.length === 0) {
    fail(
      'the prompt has no tokens, expected at least one',
      'Give a text, or the id of the beginning-of-sequence token.',
    );
  }
  for (let i = 0; i < ids.length; i++) {
    const id = ids[i]!;
    if (!(Number.isInteger(id) && id >= 0 && id < vocabSize)) {
      fail(
        `id ${i} is ${id}, expected a whole number from 0 to ${vocabSize - 1}`,
        'Are these ids of another tokenizer?',
      );
    }
  }
  return Uint32Array.from(ids);
}

export function isChat(prompt: Prompt): prompt is ChatPrompt {
  return typeof prompt === 'object' && prompt !== null && 'messages' in prompt;
}

function noTokenizer(what: string): ArgumentError {
  return new ArgumentError(
    'generate.tokenizer',
    `generate: the prompt is ${what}, expected token ids, as the model's files hold no tokenizer. Put tokenizer.json or tokenizer.model beside the model, or give ids.`,
  );
}
