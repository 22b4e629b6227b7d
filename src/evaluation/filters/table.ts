/** Every filter by the name that a task's file gives it. */
import { closedBook } from './closed-book.ts';
import { afterPrompt, afterPromptToFence, codeBlock } from './code.ts';
import type { Filter } from './filter.ts';
import { lowercase, map, removeWhitespace, uppercase } from './letters.ts';
import { minervaAnswer } from './minerva.ts';
import { regex } from './regex.ts';
import { majorityOfValid, majorityVote, takeFirst, takeFirstK } from './selection.ts';

export const filterSteps = {
  regex,
  take_first: takeFirst,
  take_first_k: takeFirstK,
  majority_vote: majorityVote,
  majority_of_valid: majorityOfValid,
  remove_whitespace: removeWhitespace,
  lowercase,
  uppercase,
  map,
  closed_book: closedBook,
  after_prompt: afterPrompt,
  after_prompt_to_fence: afterPromptToFence,
  code_block: codeBlock,
  minerva_answer: minervaAnswer,
} as const;

type OptionsOf<F> = F extends Filter<infer Options> ? Partial<Options> : never;

/** A step as a task's file writes it: the filter's name, and its options beside it. */
export type FilterStep = {
  [Name in keyof typeof filterSteps]: { readonly function: Name } & OptionsOf<(typeof filterSteps)[Name]>;
}[keyof typeof filterSteps];
