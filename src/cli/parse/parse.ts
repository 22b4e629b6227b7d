/**
 * Command line and environment → the values of an option table, and every problem found on the way.
 * The command line wins over the environment, the environment over defaults.
 *
 *   --name value   --name=value   --flag   --no-flag   -n value   -nvalue   -n=value   --   (all that follows is no option)
 */
import { editDistance } from '../../base/nearest.ts';
import {
  environmentName,
  isRepeatable,
  longName,
  type OptionSpec,
  type Options,
  type OptionTable,
  valueName,
} from '../option-table.ts';
import { didYouMean } from './did-you-mean.ts';

export interface Parsed<Table extends OptionTable> {
  /** Complete only when there are no problems. */
  readonly options: Options<Table>;
  readonly problems: readonly string[];
  /** Remarks that do not stop the command. */
  readonly remarks: readonly string[];
  /** `--help` or `-h` was among the words. */
  readonly help: boolean;
}

export interface Grammar<Table extends OptionTable> {
  readonly options: Table;
  /** The options that may also be given as plain words, in this order. */
  readonly positionals: readonly (keyof Table & string)[];
  /** Which of the positionals that are still free the words are, where their order alone does not say. */
  placeWords?(words: readonly string[], free: readonly string[]): readonly string[];
}

type Environment = Readonly<Record<string, string | undefined>>;
type Values = Record<string, unknown>;

export function parse<Table extends OptionTable>(
  { options: table, positionals, placeWords }: Grammar<Table>,
  words: readonly string[],
  environment: Environment,
): Parsed<Table> {
  const problems: string[] = [];
  const values: Values = {};
  const { given, plain, help } = tokenize(table, words, problems);

  const free = positionals.filter((key) => !given.has(key));
  const keys = placeWords?.(plain, free) ?? free;
  for (const [i, word] of plain.entries()) {
    // Words beyond the last name go to it where it takes several.
    const last = keys.at(-1);
    const key = keys[i] ?? (last !== undefined && isRepeatable(table[last]!) ? last : undefined);
    if (key === undefined) problems.push(`unexpected argument ${JSON.stringify(word)}${hintFor(table, positionals)}`);
    else given.set(key, [...(given.get(key) ?? []), { name: key.toUpperCase(), text: word }]);
  }
  for (const [key, uses] of given) readUses(key, table[key]!, uses, values, problems);
  for (const [key, spec] of Object.entries(table)) {
    const name = environmentName(key);
    const text = environment[name];
    if (given.has(key) || text === undefined || text === '') continue;
    readUses(key, spec, [{ name, text }], values, problems);
    given.set(key, []);
  }
  for (const [key, spec] of Object.entries(table)) {
    if (given.has(key)) continue;
    if ('default' in spec) values[key] = spec.default;
    else if (spec.kind === 'flag') values[key] = false;
    else if (!spec.required && (spec.kind === 'texts' || spec.kind === 'bias')) values[key] = [];
    else if (spec.required) {
      const asWord = positionals.includes(key) ? ` (or ${key.toUpperCase()} as a plain word)` : '';
      problems.push(`${longName(key)} ${valueName(spec)} is missing${asWord}`);
    }
  }
  return { options: values as Options<Table>, problems, remarks: nearMisses(table, environment), help };
}

/** One mention of an option: how the user spelled it, and its value's text (null: a flag without one). */
interface Use {
  readonly name: string;
  readonly text: string | null;
}

interface Tokens {
  readonly given: Map<string, Use[]>;
  readonly plain: string[];
  readonly help: boolean;
}

function tokenize(table: OptionTable, words: readonly string[], problems: string[]): Tokens {
  const given = new Map<string, Use[]>();
  const plain: string[] = [];
  let help = false;
  const names = namesOf(table);
  for (let i = 0; i < words.length; i++) {
    const word = words[i]!;
    if (word === '--') {
      plain.push(...words.slice(i + 1));
      break;
    }
    if (word === '-' || !word.startsWith('-') || /^-\.?\d/.test(word)) {
      plain.push(word);
      continue;
    }
    if (word === '--help' || word === '-h') {
      help = true;
      continue;
    }
    const { name, attached } = splitWord(word, names);
    const target = names.get(name);
    if (!target) {
      const suggestions = [...names.keys(), '--help'].filter(
        (known) => known.startsWith('--') === word.startsWith('--'),
      );
      problems.push(`${name} is not an option${didYouMean(name, suggestions)}`);
      // The word after a mistyped option is its value, not a stray argument.
      if (attached === null && words[i + 1] !== undefined && !words[i + 1]!.startsWith('-')) i++;
      continue;
    }
    const { key, negated } = target;
    const spec = table[key]!;
    const isFlag = spec.kind === 'flag';
    let text = attached;
    if (negated) text = 'false';
    else if (isFlag && text === null && spec.word !== undefined && words[i + 1] === spec.word) i++;
    else if (!isFlag && text === null) {
      const next = words[i + 1];
      if (next === undefined || (names.has(next.split('=')[0]!) && next !== '-')) {
        problems.push(`${name} has no value, expected ${name} ${valueName(table[key]!)}`);
        given.set(key, []);
        continue;
      }
      text = next;
      i++;
    }
    given.set(key, [...(given.get(key) ?? []), { name, text }]);
  }
  return { given, plain, help };
}

/** Every spelling of every option. */
function namesOf(table: OptionTable): Map<string, { key: string; negated: boolean }> {
  const names = new Map<string, { key: string; negated: boolean }>();
  for (const [key, spec] of Object.entries(table)) {
    names.set(longName(key), { key, negated: false });
    if (spec.kind === 'flag') names.set(`--no-${longName(key).slice(2)}`, { key, negated: true });
    if (spec.short) names.set(`-${spec.short}`, { key, negated: false });
  }
  return names;
}

/** '--top-k=5' and '-k5' → the name and the value that is attached to it. */
function splitWord(word: string, names: ReadonlyMap<string, unknown>): { name: string; attached: string | null } {
  const equals = word.indexOf('=');
  if (equals > 0) return { name: word.slice(0, equals), attached: word.slice(equals + 1) };
  const letter = word.slice(0, 2);
  if (!word.startsWith('--') && !names.has(word) && names.has(letter) && /^-[a-zA-Z]-?\d/.test(word)) {
    return { name: letter, attached: word.slice(2) };
  }
  return { name: word, attached: null };
}

function readUses(key: string, spec: OptionSpec, uses: readonly Use[], values: Values, problems: string[]): void {
  const many = isRepeatable(spec);
  if (uses.length > 1 && !many) {
    problems.push(`${longName(key)} is given ${uses.length === 2 ? 'twice' : `${uses.length} times`}`);
  }
  for (const { name, text } of uses) {
    const value = readValue(spec, text);
    if (value instanceof Problem) problems.push(`${name} is ${JSON.stringify(text)}, ${value.words}`);
    else values[key] = many ? [...((values[key] as unknown[] | undefined) ?? []), ...[value].flat()] : value;
  }
}

class Problem {
  readonly words: string;
  constructor(words: string) {
    this.words = words;
  }
}

function readValue(spec: OptionSpec, text: string | null): unknown {
  switch (spec.kind) {
    case 'flag': {
      if (text === null || text === spec.word || /^(1|true|yes|on)$/i.test(text)) return true;
      if (/^(0|false|no|off)$/i.test(text)) return false;
      return new Problem('expected true or false');
    }
    case 'text':
    case 'texts': {
      const problem = spec.check?.(text!) ?? null;
      return problem === null ? text : new Problem(problem);
    }
    case 'choice': {
      const exact = spec.values.find((value) => value.toLowerCase() === text!.toLowerCase());
      return exact ?? new Problem(`expected one of ${spec.values.join(', ')}${didYouMean(text!, spec.values)}`);
    }
    case 'number':
    case 'integer':
      return readNumber(spec, text!);
    case 'names': {
      const names = text!.split(',').map((name) => name.trim());
      const wrong = names.find((name) => !spec.choices.includes(name));
      if (wrong === undefined) return names;
      return new Problem(`expected names out of ${spec.choices.join(', ')}${didYouMean(wrong, spec.choices)}`);
    }
    case 'bias': {
      const [, token, bias] = /^(.+)=([^=]*)$/s.exec(text!) ?? [];
      const value = bias === 'false' ? false : readNumber({ kind: 'number' }, bias ?? '');
      if (token === undefined || value instanceof Problem) {
        return new Problem('expected TOKEN=BIAS, with an id or a text, and a number or false, as in 15=-2.5');
      }
      return [[/^\d+$/.test(token) ? Number(token) : token, value]];
    }
    case 'integers': {
      const numbers = text!.split(',').map((part) => readNumber({ ...spec, kind: 'integer' }, part));
      return numbers.find((number) => number instanceof Problem) ?? numbers;
    }
    default:
      return spec satisfies never;
  }
}

function readNumber(
  spec: { readonly kind: 'number' | 'integer'; readonly min?: number; readonly max?: number },
  text: string,
): number | Problem {
  const value = text.trim() === '' ? Number.NaN : Number(text);
  const whole = spec.kind === 'integer';
  const low = spec.min ?? Number.NEGATIVE_INFINITY;
  const high = spec.max ?? Number.POSITIVE_INFINITY;
  if (value >= low && value <= high && Number.isFinite(value) && (!whole || Number.isSafeInteger(value))) return value;
  const noun = whole ? 'a whole number' : 'a number';
  return new Problem(`expected ${noun}${rangeWords(spec.min, spec.max)}`);
}

function rangeWords(min: number | undefined, max: number | undefined): string {
  const high = max === undefined || max === Number.MAX_SAFE_INTEGER ? null : max;
  if (min === Number.MIN_VALUE) return high === null ? ' above 0' : ` above 0, at most ${high}`;
  if (min !== undefined) return high === null ? `, at least ${min}` : ` in ${min}…${high}`;
  return high === null ? '' : `, at most ${high}`;
}

function hintFor(table: OptionTable, positionals: readonly string[]): string {
  if (positionals.length === 0) return ', this command takes options only';
  const words = positionals.map((key) => (table[key]!.required ? key.toUpperCase() : `[${key.toUpperCase()}]`));
  return `, expected at most ${words.join(' ')} (quote a text with spaces)`;
}

/** A variable that is nobody's, yet a letter or two from an option's name, is a typing mistake worth a remark. */
function nearMisses(table: OptionTable, environment: Environment): string[] {
  const known = Object.keys(table).map(environmentName);
  return Object.keys(environment)
    .filter((name) => name.startsWith('CRIA_') && !known.includes(name))
    .flatMap((name) => {
      const meant = known.find((other) => editDistance(name, other) <= 2);
      return meant ? [`${name} in the environment is not a setting of this command (did you mean ${meant}?)`] : [];
    });
}
