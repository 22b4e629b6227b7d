import { optional, type Rule, record } from '../../corpus/recipe/schema.ts';
import { strip } from '../python/text.ts';
import { defineFilter } from './filter.ts';

const word: Rule<string> = { check: (value) => String(value) };

export const lowercase = defineFilter<object>({
  help: 'small letters',
  options: {},
  apply: (answers) => answers.map((answer) => answer.toLowerCase()),
});

export const uppercase = defineFilter<object>({
  help: 'capital letters',
  options: {},
  apply: (answers) => answers.map((answer) => answer.toUpperCase()),
});

export const removeWhitespace = defineFilter<object>({
  help: 'without the space at both ends',
  options: {},
  apply: (answers) => answers.map(strip),
});

export const map = defineFilter<{ mapping_dict: Record<string, string>; default_value: string }>({
  help: 'another text for each of some: mapping_dict, and default_value for the rest',
  options: { mapping_dict: record(word), default_value: optional(word, '') },
  apply: (answers, { mapping_dict, default_value }) => answers.map((answer) => mapping_dict[answer] ?? default_value),
});
