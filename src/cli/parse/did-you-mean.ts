import { nearestNames } from '../../base/nearest.ts';

const bareOf = (word: string) => word.replace(/^-+/, '');

/** ' (did you mean X?)' for a mistyped or shortened word, or nothing when no candidate is near; dashes in front do not count. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const bare = bareOf(word).toLowerCase();
  if (bare.length < 2) return '';
  const [near] = nearestNames(bare, candidates.map(bareOf), 1);
  const longer = bare.length < 3 ? undefined : candidates.find((name) => bareOf(name).startsWith(bare));
  const meant = longer ?? candidates.find((name) => bareOf(name) === near);
  return meant === undefined ? '' : ` (did you mean ${meant}?)`;
}
