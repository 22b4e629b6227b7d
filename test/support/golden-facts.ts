import { readFileSync } from 'node:fs';
import { type Check, watched } from './golden-check.ts';

/** Words about a case that expect nothing. */
const aboutTheCase = ['about', 'case', 'seed', 'made_with', 'note', 'reference', 'versions'];

/**
 * A golden JSON file whose every field must be looked at by its runner: `finish` fails for those that nobody asked for.
 * Numbers that JSON cannot say stand there as words.
 */
export function readFacts<Facts extends object>(
  path: string,
  ignored: readonly string[] = [],
): { readonly facts: Facts; finish(check: Check): void } {
  const parsed = JSON.parse(readFileSync(path, 'utf8'), (_, value) => words.get(value) ?? value) as Facts;
  const { facts, unread } = watched(parsed);
  return {
    facts,
    finish: (check) => check.exact('fields without a runner', unread([...aboutTheCase, ...ignored]), []),
  };
}

const words = new Map<unknown, number>([
  ['inf', Number.POSITIVE_INFINITY],
  ['-inf', Number.NEGATIVE_INFINITY],
  ['nan', Number.NaN],
]);
