/**
 * Shapes of recipe values: each rule checks a plain value (from YAML or JSON), fills in defaults and has a static type. All problems are
 * collected, with the path to each and, for a name that is not known, the nearest one that is.
 */
import { nearestNames } from '../../base/nearest.ts';

export interface Rule<T> {
  /** The value as the rest of the program gets it, or undefined after reporting why not. */
  check(value: unknown, path: string, problems: string[]): T | undefined;
  /** Value when the key is absent; a rule without it is required. */
  readonly fallback?: { readonly value: T };
}

export type Checked<R> = R extends Rule<infer T> ? T : never;

function rule<T>(check: Rule<T>['check']): Rule<T> {
  return { check };
}

/** A key that may be left out. */
export function optional<T>(inner: Rule<T>): Rule<T | undefined>;
export function optional<T>(inner: Rule<T>, fallback: T): Rule<T>;
export function optional<T>(inner: Rule<T>, fallback?: T): Rule<T | undefined> {
  return { check: (value, path, problems) => inner.check(value, path, problems), fallback: { value: fallback } };
}

export const text = rule<string>((value, path, problems) => {
  if (typeof value === 'string' && value !== '') return value;
  problems.push(`${path} must be a text, got ${show(value)}`);
  return undefined;
});

export const flag = rule<boolean>((value, path, problems) => {
  if (typeof value === 'boolean') return value;
  problems.push(`${path} must be true or false, got ${show(value)}`);
  return undefined;
});

export function number({ min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = {}): Rule<number> {
  return rule((value, path, problems) => {
    if (typeof value === 'number' && value >= min && value <= max) return value;
    problems.push(`${path} must be a number${range(min, max)}, got ${show(value)}`);
    return undefined;
  });
}

export function integer({ min = 0, max = Number.MAX_SAFE_INTEGER } = {}): Rule<number> {
  return rule((value, path, problems) => {
    if (Number.isSafeInteger(value) && (value as number) >= min && (value as number) <= max) return value as number;
    problems.push(`${path} must be a whole number${range(min, max)}, got ${show(value)}`);
    return undefined;
  });
}

export function choice<const T extends string>(values: readonly T[]): Rule<T> {
  return rule((value, path, problems) => {
    if (typeof value === 'string' && (values as readonly string[]).includes(value)) return value as T;
    const meant = typeof value === 'string' ? nearestNames(value, values, 1)[0] : undefined;
    problems.push(
      `${path} must be one of ${values.join(', ')}; got ${show(value)}${meant ? ` (did you mean ${meant}?)` : ''}`,
    );
    return undefined;
  });
}

export function list<T>(inner: Rule<T>): Rule<T[]> {
  return rule((value, path, problems) => {
    if (!Array.isArray(value)) {
      problems.push(`${path} must be a list, got ${show(value)}`);
      return undefined;
    }
    return value.map((each, i) => inner.check(each, `${path}[${i}]`, problems) as T);
  });
}

/** Any names, all with the same kind of value. */
export function record<T>(inner: Rule<T>): Rule<Record<string, T>> {
  return rule((value, path, problems) => {
    if (!isPlainObject(value)) {
      problems.push(`${path} must be a map, got ${show(value)}`);
      return undefined;
    }
    const entries = Object.entries(value).map(([key, each]) => [
      key,
      inner.check(each, join(path, key), problems) as T,
    ]);
    return Object.fromEntries(entries);
  });
}

/** Known keys, each with its rule; every other key is a problem. */
export function object<Shape extends Record<string, Rule<unknown>>>(
  shape: Shape,
): Rule<{ [Key in keyof Shape]: Checked<Shape[Key]> }> {
  return rule((value, path, problems) => {
    if (!isPlainObject(value)) {
      problems.push(`${path || 'the recipe'} must be a map, got ${show(value)}`);
      return undefined;
    }
    const known = Object.keys(shape);
    for (const key of Object.keys(value)) {
      if (known.includes(key)) continue;
      const meant = nearestNames(key, known, 1)[0];
      problems.push(
        `${join(path, key)} is not known${meant ? ` (did you mean ${meant}?)` : `; known: ${known.join(', ')}`}`,
      );
    }
    const result: Record<string, unknown> = {};
    for (const [key, inner] of Object.entries(shape)) {
      const given = (value as Record<string, unknown>)[key];
      if (given !== undefined && given !== null) result[key] = inner.check(given, join(path, key), problems);
      else if (inner.fallback) result[key] = inner.fallback.value;
      else problems.push(`${join(path, key)} is required`);
    }
    return result as { [Key in keyof Shape]: Checked<Shape[Key]> };
  });
}

export interface Tagged<Name extends string, T> {
  readonly name: Name;
  readonly options: T;
}

/** One of several named things, written `name` or `name: { options }`. */
export function tagged<Table extends Record<string, { readonly options: Rule<unknown> }>>(
  table: Table,
  what: string,
): Rule<{ [Name in keyof Table & string]: Tagged<Name, Checked<Table[Name]['options']>> }[keyof Table & string]> {
  type Result = { [Name in keyof Table & string]: Tagged<Name, Checked<Table[Name]['options']>> }[keyof Table & string];
  return rule((value, path, problems) => {
    const entries = isPlainObject(value) ? Object.entries(value) : [];
    const [name, given] = typeof value === 'string' ? [value, {}] : (entries[0] ?? ['', undefined]);
    if (typeof value !== 'string' && entries.length !== 1) {
      problems.push(`${path} must be the name of a ${what} or one "name: options", got ${show(value)}`);
      return undefined;
    }
    const row = Object.hasOwn(table, name) ? table[name] : undefined;
    if (!row) {
      const meant = nearestNames(name, Object.keys(table), 1)[0];
      problems.push(
        `${path}: ${name} is not a ${what}${meant ? ` (did you mean ${meant}?)` : `; there are ${Object.keys(table).join(', ')}`}`,
      );
      return undefined;
    }
    return { name, options: row.options.check(given ?? {}, join(path, name), problems) } as Result;
  });
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function join(path: string, key: string): string {
  return path === '' ? key : `${path}.${key}`;
}

function range(min: number, max: number): string {
  if (Number.isFinite(min) && max < Number.MAX_SAFE_INTEGER) return ` in [${min}, ${max}]`;
  if (Number.isFinite(min)) return ` of at least ${min}`;
  return Number.isFinite(max) ? ` of at most ${max}` : '';
}

function show(value: unknown): string {
  const json = JSON.stringify(value) ?? String(value);
  return json.length > 60 ? `${json.slice(0, 57)}…` : json;
}
