/**
 * Whether a run may go on with what it is given today. A run's state keeps its recipe, the digests of what it reads and what computed
 * it; each difference is said, and refused where what the run has come to would mean something else.
 */
import { ConfigError } from '../../base/errors.ts';

/** What a run's state keeps, to be compared with what it is given when it goes on. */
export interface RunInputs {
  /** As it was checked. */
  readonly recipe: unknown;
  /** Of the files that the recipe names, by the setting that names them. */
  readonly digests: Readonly<Record<string, string>>;
  /** What the bits depend on besides, by name. */
  readonly bits: Readonly<Record<string, string>>;
}

/** 'said': goes on. 'asked': goes on where --allow-change names the setting. 'never': another run. */
export type ChangeRule = 'said' | 'asked' | 'never';

/** The rule of a setting, by its path, and for 'never' the reason. */
export type ChangeRules = (key: string) => readonly [rule: ChangeRule, reason?: string];

export interface Difference {
  readonly key: string;
  readonly words: string;
  readonly rule: ChangeRule;
}

/**
 * Every setting that is another than at a run's beginning. One whose file has moved, with the same content, is 'said'. `before` may lack
 * digests: an earlier version did not keep them.
 */
export function differencesOf(
  before: Pick<RunInputs, 'recipe'> & Partial<RunInputs>,
  now: Pick<RunInputs, 'recipe' | 'digests'>,
  rules: ChangeRules,
): Difference[] {
  const [old, current] = [flat(before.recipe), flat(now.recipe)];
  const lists = listsOfOtherLength(before.recipe, now.recipe);
  const isWithin = (key: string) => lists.some(([list]) => key.startsWith(`${list}.`));
  const was = before.digests ?? {};
  const found = lists.map(([key, had, has]) =>
    described(key, `${key} has ${has} entries, and had ${had} when the run began`, rules(key)),
  );
  for (const key of new Set([...old.keys(), ...current.keys(), ...Object.keys(now.digests)])) {
    if (isWithin(key)) continue;
    const is = current.get(key) ?? 'not given';
    const hasMoved = old.get(key) !== current.get(key);
    const isSameFile = was[key] !== undefined && was[key] === now.digests[key];
    const isOtherFile = was[key] !== undefined && now.digests[key] !== undefined && !isSameFile;
    if (!hasMoved && !isOtherFile) continue;
    const words = hasMoved
      ? `${key} is ${is}, and was ${old.get(key) ?? 'not given'} when the run began`
      : `${key}${current.has(key) ? `, ${is},` : ''} holds something else than when the run began`;
    if (isSameFile) found.push({ key, words: `${words}; the content is the same`, rule: 'said' });
    else found.push(described(key, words, rules(key)));
  }
  return found;
}

/** What computes otherwise than before, in words. What `before` does not name did not matter then, or an earlier version did not keep it. */
export function otherBits(before: RunInputs['bits'] | undefined, now: RunInputs['bits']): string[] {
  return Object.keys(before ?? {})
    .filter((name) => before![name] !== now[name])
    .map((name) => {
      const words = `${name}: ${now[name] ?? 'any'}, and ${before![name]} until now`;
      return `${words}; the bits from here on are not those of a run that was never stopped`;
    });
}

/**
 * Says every difference. Throws ConfigError `training.changed` with those that the run cannot go on with: `allowed` names settings, or
 * groups of them, that may be others than at the beginning.
 */
export function settleChanges(
  where: string,
  differences: readonly Difference[],
  allowed: readonly string[],
  tell: (message: string) => void,
): void {
  const isAllowed = (key: string) => allowed.some((name) => key === name || key.startsWith(`${name}.`));
  const refused: string[] = [];
  for (const { key, words, rule } of differences) {
    if (rule === 'said') tell(`changed: ${words}`);
    else if (rule === 'never') {
      refused.push(
        `${words}. Resume with the recipe that the run began with, or begin a new run in another folder (--out)`,
      );
    } else if (isAllowed(key)) tell(`changed, as allowed: ${words}`);
    else refused.push(`${words}. Go on with it by --allow-change ${key}`);
  }
  if (refused.length > 0) throw new ConfigError(where, refused, 'training.changed');
}

function described(key: string, words: string, [rule, reason]: readonly [ChangeRule, string?]): Difference {
  return { key, words: reason === undefined ? words : `${words}: ${reason}`, rule };
}

/** Every value by its path, as JSON; what is not given is left out. */
function flat(value: unknown, path = ''): Map<string, string> {
  if (value === undefined || value === null) return new Map();
  if (typeof value !== 'object') return new Map([[path, JSON.stringify(value)]]);
  const prefix = path === '' ? '' : `${path}.`;
  return new Map(Object.entries(value).flatMap(([key, inner]) => [...flat(inner, prefix + key)]));
}

function listsOfOtherLength(before: unknown, now: unknown, path = ''): [key: string, before: number, now: number][] {
  if (Array.isArray(before) && Array.isArray(now) && before.length !== now.length) {
    return [[path, before.length, now.length]];
  }
  if (typeof before !== 'object' || typeof now !== 'object' || before === null || now === null) return [];
  return Object.entries(now).flatMap(([key, inner]) =>
    listsOfOtherLength((before as Record<string, unknown>)[key], inner, path === '' ? key : `${path}.${key}`),
  );
}
