/** A small description of nested settings: checked completely, unknown keys refused, types inferred. */
import { nearestNames } from '../../base/nearest.ts';

export type Schema =
  | { readonly kind: 'text'; readonly default?: string; readonly required?: true }
  | { readonly kind: 'boolean'; readonly default?: boolean }
  | (Bounds & { readonly kind: 'number' | 'integer'; readonly default?: number })
  | { readonly kind: 'choice'; readonly values: readonly string[]; readonly default?: string }
  | {
      readonly kind: 'list';
      readonly item: Schema;
      readonly required?: true;
      /** A text in the place of the list is one entry with this key. */
      readonly shorthand?: string;
    }
  | { readonly kind: 'object'; readonly keys: Readonly<Record<string, Schema>> };

interface Bounds {
  readonly min?: number;
  readonly max?: number;
  /** The value must lie above `min`, not at it. */
  readonly above?: true;
}

/** The values that a schema lets through. */
export type Checked<S extends Schema> = S extends { kind: 'object'; keys: infer Keys extends Record<string, Schema> }
  ? { readonly [Key in keyof Keys]: Field<Keys[Key]> }
  : S extends { kind: 'list'; item: infer Item extends Schema }
    ? readonly Checked<Item>[]
    : S extends { kind: 'text' }
      ? string
      : S extends { kind: 'boolean' }
        ? boolean
        : S extends { kind: 'choice'; values: readonly (infer Choice)[] }
          ? Choice
          : number;

type Field<S extends Schema> = S extends { default: unknown } | { required: true } | { kind: 'object' }
  ? Checked<S>
  : Checked<S> | undefined;

/** The checked value, with defaults; what is wrong is added to `problems`. */
export function check(schema: Schema, value: unknown, path: string, problems: string[]): unknown {
  if (value === undefined || value === null) {
    if (schema.kind === 'object') return check(schema, {}, path, problems);
    if ('required' in schema && schema.required) problems.push(`${path} is missing`);
    return 'default' in schema ? schema.default : undefined;
  }
  switch (schema.kind) {
    case 'object':
      return checkObject(schema.keys, value, path, problems);
    case 'list':
      if (typeof value === 'string' && schema.shorthand !== undefined) {
        return check(schema, [{ [schema.shorthand]: value }], path, problems);
      }
      if (Array.isArray(value) && value.length > 0) {
        return value.map((item, i) => check(schema.item, item, `${path}[${i}]`, problems));
      }
      break;
    case 'text':
      if (typeof value === 'string' && value !== '') return value;
      break;
    case 'boolean':
      if (typeof value === 'boolean') return value;
      break;
    case 'choice':
      if (typeof value === 'string' && schema.values.includes(value)) return value;
      break;
    case 'number':
    case 'integer':
      if (isWithin(schema, value)) return value;
      break;
    default:
      schema satisfies never;
  }
  problems.push(`${path} must be ${describe(schema)}, got ${JSON.stringify(value)}`);
  return undefined;
}

function checkObject(
  keys: Readonly<Record<string, Schema>>,
  value: unknown,
  path: string,
  problems: string[],
): unknown {
  if (typeof value !== 'object' || Array.isArray(value)) {
    problems.push(`${path || 'the recipe'} must be settings by name, got ${JSON.stringify(value)}`);
    return {};
  }
  const prefix = path ? `${path}.` : '';
  const given = value as Record<string, unknown>;
  for (const key of Object.keys(given)) {
    if (Object.hasOwn(keys, key)) continue;
    const [near] = nearestNames(key, Object.keys(keys), 1);
    problems.push(`${prefix}${key} is not a setting${near === undefined ? '' : ` (did you mean ${prefix}${near}?)`}`);
  }
  return Object.fromEntries(
    Object.entries(keys).map(([key, schema]) => [key, check(schema, given[key], prefix + key, problems)]),
  );
}

function isWithin(schema: Bounds & { readonly kind: 'number' | 'integer' }, value: unknown): value is number {
  const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY, above, kind } = schema;
  if (typeof value !== 'number' || !Number.isFinite(value)) return false;
  if (kind === 'integer' && !Number.isSafeInteger(value)) return false;
  return (above ? value > min : value >= min) && value <= max;
}

function describe(schema: Schema): string {
  switch (schema.kind) {
    case 'choice':
      return `one of ${schema.values.join(', ')}`;
    case 'number':
    case 'integer': {
      const what = schema.kind === 'integer' ? 'a whole number' : 'a number';
      const low = schema.min === undefined ? '' : ` ${schema.above ? 'above' : 'of at least'} ${schema.min}`;
      return `${what}${low}${schema.max === undefined ? '' : ` and at most ${schema.max}`}`;
    }
    case 'boolean':
      return 'true or false';
    case 'list':
      return schema.shorthand === undefined
        ? 'a list with at least one entry'
        : 'a text, or a list with at least one entry';
    case 'text':
      return 'a text';
    default:
      return 'settings by name';
  }
}

/** `a.b=c`: sets one value of a parsed recipe; `data.train.0.path=…` reaches into lists. `read` parses the value as the file's format does. */
export function setValue(recipe: unknown, assignment: string, read: (text: string) => unknown): string | null {
  const at = assignment.indexOf('=');
  if (at < 1) return `--set ${assignment}: expected KEY=VALUE, as in training.tokens=1000000`;
  const keys = assignment.slice(0, at).split('.');
  let place = recipe as Record<string, unknown>;
  let path = '';
  for (const [i, key] of keys.entries()) {
    const problem = Array.isArray(place) ? holeIn(place, key, path) : null;
    if (problem !== null) return `--set ${assignment}: ${problem}`;
    if (i === keys.length - 1) break;
    path += path === '' ? key : `.${key}`;
    if (place[key] === undefined || place[key] === null) place[key] = {};
    if (typeof place[key] !== 'object') return `--set ${assignment}: ${key} is a value, not a group of settings`;
    place = place[key] as Record<string, unknown>;
  }
  const last = keys.at(-1)!;
  if (last === '__proto__' || keys.includes('__proto__')) return `--set ${assignment}: no such setting`;
  place[last] = read(assignment.slice(at + 1));
  return null;
}

/** What is wrong with `key` as a place of a list, whose next free one is its length; null: nothing. */
function holeIn(list: readonly unknown[], key: string, path: string): string | null {
  if (/^\d+$/.test(key) && Number(key) <= list.length) return null;
  const entries = list.length === 1 ? '1 entry' : `${list.length} entries`;
  return `${path} is a list of ${entries}, expected ${path}.N with N from 0 to ${list.length}, found ${key}`;
}
