/**
 * Options as one table: the types, the defaults, the checks, and (for the command line and the server) the flags, wire names
 * and help texts are all read from it.
 */
import { ArgumentError } from '../base/errors.ts';
import { nearestNames } from '../base/nearest.ts';

export type OptionSpec =
  | {
      readonly kind: 'number' | 'integer';
      readonly default: number;
      readonly min?: number;
      readonly max?: number;
      readonly help: string;
      /** The name in llama-server's JSON, where it is not the snake_case of ours. */
      readonly wire?: string;
    }
  | { readonly kind: 'flag'; readonly default: boolean; readonly help: string; readonly wire?: string }
  /** Texts; one text may be given as a string. */
  | { readonly kind: 'texts'; readonly default: readonly string[]; readonly help: string; readonly wire?: string }
  /** Some of a closed set of names, in the order given. */
  | {
      readonly kind: 'names';
      readonly choices: readonly string[];
      readonly default: readonly string[];
      readonly help: string;
      readonly wire?: string;
    }
  /** Additions to the logits of tokens: [id or text, bias], where false forbids the token. */
  | { readonly kind: 'bias'; readonly default: LogitBias; readonly help: string; readonly wire?: string };

export type OptionTable = { readonly [name: string]: OptionSpec };

/** By id, or by text, which biases every token of the text. Infinite biases force and forbid; false forbids. */
export type LogitBias =
  | ReadonlyMap<number | string, number | false>
  | readonly (readonly [number | string, number | false])[];

/** An option's name in llama-server's JSON. */
export function wireName(key: string, { wire }: OptionSpec): string {
  return wire ?? key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

type Value<Spec extends OptionSpec> = Spec extends { kind: 'number' | 'integer' }
  ? number
  : Spec extends { kind: 'flag' }
    ? boolean
    : Spec extends { kind: 'texts' }
      ? readonly string[]
      : Spec extends { kind: 'names'; choices: readonly (infer Choice)[] }
        ? readonly Choice[]
        : LogitBias;

/** What a caller may give. */
export type Given<Table extends OptionTable> = {
  readonly [name in keyof Table]?:
    | Value<Table[name]>
    | (Table[name] extends { kind: 'texts' } ? string : never)
    | undefined;
};

/** Every option with its value. */
export type Resolved<Table extends OptionTable> = { readonly [name in keyof Table]: Value<Table[name]> };

/**
 * Fills in the defaults. Unknown names and wrong values are all reported at once.
 * Throws ArgumentError `<where>.options`.
 */
export function resolveOptions<Table extends OptionTable>(where: string, table: Table, given: object): Resolved<Table> {
  const problems: string[] = [];
  const resolved: Record<string, unknown> = {};
  for (const [name, spec] of Object.entries(table)) resolved[name] = spec.default;
  for (const [name, value] of Object.entries(given)) {
    const spec = Object.hasOwn(table, name) ? table[name] : undefined;
    if (!spec) {
      const near = nearestNames(name, Object.keys(table), 1);
      problems.push(`${name} is not an option${near.length > 0 ? ` (did you mean ${near[0]}?)` : ''}`);
    } else if (value !== undefined) {
      const problem = problemOf(spec, value);
      if (problem) problems.push(`${name} is ${show(value)}, expected ${problem}`);
      resolved[name] = spec.kind === 'texts' && typeof value === 'string' ? [value] : value;
    }
  }
  if (problems.length > 0) {
    const advice = `The options are ${Object.keys(table).join(', ')}`;
    throw new ArgumentError(`${where}.options`, `${where}: ${problems.join('; ')}. ${advice}.`);
  }
  return resolved as Resolved<Table>;
}

/** What was expected instead, in words; null when the value is sound. */
function problemOf(spec: OptionSpec, value: unknown): string | null {
  switch (spec.kind) {
    case 'number':
    case 'integer': {
      const { min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY } = spec;
      const whole = spec.kind === 'integer';
      const fits = typeof value === 'number' && value >= min && value <= max && Number.isFinite(value);
      if (fits && (!whole || Number.isSafeInteger(value))) return null;
      const range = `${min === Number.NEGATIVE_INFINITY ? '' : `${min} `}…${max === Number.POSITIVE_INFINITY ? '' : ` ${max}`}`;
      return `a ${whole ? 'whole ' : 'finite '}number${range === '…' ? '' : ` in ${range}`}`;
    }
    case 'flag':
      return typeof value === 'boolean' ? null : 'true or false';
    case 'texts':
      return typeof value === 'string' ||
        (isArray(value) && value.every((text) => typeof text === 'string' && text !== ''))
        ? null
        : 'a text or an array of non-empty texts';
    case 'names':
      return isArray(value) && value.every((name) => spec.choices.includes(name as string))
        ? null
        : `an array of names out of ${spec.choices.join(', ')}`;
    case 'bias': {
      const pairs: unknown = value instanceof Map ? [...value] : value;
      return isArray(pairs) && pairs.every(isBiasPair)
        ? null
        : 'a Map or an array of [token id or text, number or false]';
    }
    default:
      return spec satisfies never;
  }
}

function isBiasPair(pair: unknown): boolean {
  if (!isArray(pair) || pair.length !== 2) return false;
  const [token, bias] = pair;
  const named =
    (typeof token === 'number' && Number.isInteger(token) && token >= 0) || (typeof token === 'string' && token !== '');
  return named && (bias === false || (typeof bias === 'number' && !Number.isNaN(bias)));
}

const isArray = (value: unknown): value is readonly unknown[] => Array.isArray(value);

function show(value: unknown): string {
  const text =
    typeof value === 'string'
      ? JSON.stringify(value)
      : value instanceof Map
        ? 'a Map'
        : isArray(value)
          ? JSON.stringify(value)
          : String(value);
  return text.length > 80 ? `${text.slice(0, 77)}…` : text;
}
