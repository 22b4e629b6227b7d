import { nearestNames } from '../../base/nearest.ts';

/** ' (did you mean X?)' for a mistyped or shortened word, or nothing when no candidate is near. */
export function didYouMean(word: string, candidates: readonly string[]): string {
  const bare = word.replace(/^-+/, '').toLowerCase();
  const longer = bare.length < 3 ? undefined : candidates.find((name) => name.replace(/^-+/, '').startsWith(bare));
  const meant = longer ?? nearestNames(word, candidates, 1)[0];
  return meant === undefined ? '' : ` (did you mean ${meant}?)`;
}
