import type { LogitBias } from '../inference/option-table.ts';

/**
 * One table per verb holds its options. The parser, `--help`, docs/cli.md and the type of the parsed values are all made from it.
 *
 * A key `maxTokens` is `--max-tokens` on the command line and `CRIA_MAX_TOKENS` in the environment.
 * The library's tables (src/inference) fit: a verb spreads them into its own.
 */
interface Common {
  readonly help: string;
  /** A one-dash name: `m` is `-m`; llama-bench's `-pg` shows that it may be longer. */
  readonly short?: string;
  /** Without a value the command line is wrong. */
  readonly required?: true;
  /** What stands for the value in help texts. */
  readonly value?: string;
  /** Says what happens without the option, where no constant default can. */
  readonly otherwise?: string;
}

export type OptionSpec =
  | (Common & { readonly kind: 'text'; readonly default?: string; readonly check?: Check })
  | (Common & { readonly kind: 'number'; readonly default?: number; readonly min?: number; readonly max?: number })
  | (Common & { readonly kind: 'integer'; readonly default?: number; readonly min?: number; readonly max?: number })
  /** Also `--no-…`. `word` after it, or with `=`, says the same as nothing. */
  | (Common & { readonly kind: 'flag'; readonly default?: boolean; readonly word?: string })
  | (Common & { readonly kind: 'choice'; readonly values: readonly string[]; readonly default?: string })
  /** May be given several times. */
  | (Common & { readonly kind: 'texts'; readonly default?: readonly string[]; readonly check?: Check })
  /** Names out of a closed set, with commas between. */
  | (Common & { readonly kind: 'names'; readonly choices: readonly string[]; readonly default?: readonly string[] })
  /** `token=bias`, where the token is an id or a text and the bias a number or `false`; may be given several times. */
  | (Common & { readonly kind: 'bias'; readonly default?: LogitBias })
  /** Whole numbers with commas between; may be given several times. */
  | (Common & {
      readonly kind: 'integers';
      readonly default?: readonly number[];
      readonly min?: number;
      readonly max?: number;
    });

/** A problem in words (`expected …`), or null. */
type Check = (value: string) => string | null;

export type OptionTable = Readonly<Record<string, OptionSpec>>;

type Value<Spec extends OptionSpec> = Spec extends { kind: 'text' }
  ? string
  : Spec extends { kind: 'number' | 'integer' }
    ? number
    : Spec extends { kind: 'flag' }
      ? boolean
      : Spec extends { kind: 'choice'; values: readonly (infer Choice)[] }
        ? Choice
        : Spec extends { kind: 'names'; choices: readonly (infer Choice)[] }
          ? readonly Choice[]
          : Spec extends { kind: 'texts' }
            ? readonly string[]
            : Spec extends { kind: 'bias' }
              ? LogitBias
              : readonly number[];

/** Lists and flags always have a value; the others when the table has a default or requires one. */
type AlwaysThere = { default: unknown } | { required: true } | { kind: 'flag' | 'texts' | 'bias' };

/** What the parser makes of a table. */
export type Options<Table extends OptionTable> = {
  readonly [Key in keyof Table]: Table[Key] extends AlwaysThere ? Value<Table[Key]> : Value<Table[Key]> | undefined;
};

/** Whether several mentions add up; elsewhere a second one is a mistake. */
export function isRepeatable(spec: OptionSpec): boolean {
  return spec.kind === 'texts' || spec.kind === 'integers' || spec.kind === 'bias';
}

/** 'maxTokens' → '--max-tokens' */
export function longName(key: string): string {
  return `--${kebab(key)}`;
}

/** 'maxTokens' → 'CRIA_MAX_TOKENS' */
export function environmentName(key: string): string {
  return `CRIA_${kebab(key).replaceAll('-', '_').toUpperCase()}`;
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}

/** What stands for an option's value in help texts; empty for flags. */
export function valueName(spec: OptionSpec): string {
  if (spec.value) return spec.value;
  switch (spec.kind) {
    case 'flag':
      return '';
    case 'text':
    case 'texts':
      return 'TEXT';
    case 'number':
      return 'X';
    case 'integer':
      return 'N';
    case 'integers':
      return 'N,…';
    case 'names':
      return 'NAME,…';
    case 'bias':
      return 'TOKEN=X';
    case 'choice':
      return spec.values.join('|');
    default:
      return spec satisfies never;
  }
}
