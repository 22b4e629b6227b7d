import type { Doc } from '../task/template.ts';
import type { Answers, Filter } from './filter.ts';
import { type FilterStep, filterSteps } from './table.ts';

/** What a list of filters makes of the answers to one item. */
export function applyFilters(steps: readonly FilterStep[], answers: readonly string[], doc: Doc): Answers {
  let result: Answers = answers;
  for (const { function: name, ...given } of steps) {
    const filter = filterSteps[name] as Filter;
    const options: Record<string, unknown> = { ...given };
    for (const [key, { fallback }] of Object.entries(filter.options as Filter<Record<string, unknown>>['options'])) {
      if (options[key] === undefined && fallback) options[key] = fallback.value;
    }
    result = filter.apply(typeof result === 'string' ? [result] : result, options, doc);
  }
  return result;
}
