import type { Rule } from '../../corpus/recipe/schema.ts';
import type { Doc } from '../task/template.ts';

/** What a filter makes of the answers to one item: one text, or several. */
export type Answers = string | readonly string[];

/** A step between a model's answers and the metrics: the harness's filters, and those that the papers' rules need. */
export interface Filter<Options extends object = object> {
  readonly help: string;
  readonly options: { readonly [Name in keyof Options]: Rule<Options[Name]> };
  /** All answers to an item in, all answers out; one text where a choice is made among them. */
  apply(answers: readonly string[], options: Options, doc: Doc): Answers;
}

export const defineFilter = <Options extends object>(filter: Filter<Options>): Filter<Options> => filter;

/** What stands where an extractor found nothing. */
export const INVALID = '[invalid]';
