/** `cria serve -m [NAME=]MODEL[,KEY=VALUE…]`: the models of one server, and what only one of them is loaded with. */
import { existsSync } from 'node:fs';
import { basename, resolve } from 'node:path';
import { UsageError } from '../../base/errors.ts';
import { type Pooling, poolings } from '../../inference/reading/embedding.ts';
import { isHubName, parseHubName } from '../../platform/hub/names.ts';
import { runOf } from '../../platform/node/training/run-checkpoint.ts';
import type { OptionSpec } from '../option-table.ts';
import { parseAdapter } from '../parse/adapter-option.ts';

export interface ModelWord {
  /** What it is asked for by; null: its file's name. */
  readonly name: string | null;
  /** As -m takes it elsewhere; undefined: the bundled model. */
  readonly model: string | undefined;
  readonly adapter: readonly string[];
  readonly draft: readonly string[];
  readonly alias: readonly string[];
  readonly template: string | undefined;
  readonly pooling: Pooling | undefined;
  readonly context: number | undefined;
}

const keys = ['adapter', 'draft', 'alias', 'template', 'pooling', 'context'] as const;

export const modelsOption = {
  kind: 'texts',
  short: 'm',
  value: '[NAME=]MODEL[,KEY=VALUE…]',
  otherwise: 'the bundled model',
  help: `a model as other verbs take it; given several times, each is loaded when a request's model names it. KEY: ${keys.join(', ')}, for this model only`,
  check: (text: string) => (text === '' ? 'expected a model' : null),
} as const satisfies OptionSpec;

/** A path that exists is a path, whatever is in its name. Throws UsageError. */
export function parseModelWord(text: string): ModelWord {
  const [first = '', ...more] = existsSync(text) ? [text] : text.split(/,(?=[a-z]+=)/);
  const [, name = null, model = first] = existsSync(first) ? [] : (/^([\w.:/-]+?)=(.+)$/.exec(first) ?? []);
  const given = more.map((part) => {
    const [, key = '', value = ''] = /^([a-z]+)=(.*)$/s.exec(part) ?? [];
    return [key, value] as const;
  });
  const problems: string[] = [];
  const refuse = (problem: string) => problems.push(`-m ${text}: ${problem}`);
  for (const [key, value] of given) {
    if (!(keys as readonly string[]).includes(key)) refuse(`${key} is not known, expected ${keys.join(', ')}`);
    if (value === '') refuse(`${key} has no value`);
  }
  const all = (wanted: (typeof keys)[number]) => given.filter(([key]) => key === wanted).map(([, value]) => value);
  const one = (wanted: (typeof keys)[number]) => {
    const values = all(wanted);
    if (values.length > 1) refuse(`${wanted} is given ${values.length} times`);
    return values[0];
  };
  const pooling = poolings.find((each) => each === one('pooling'));
  if (pooling === undefined && one('pooling') !== undefined) {
    refuse(`pooling is ${one('pooling')}, expected ${poolings.join(', ')}`);
  }
  const context = one('context');
  if (context !== undefined && !/^[1-9]\d{0,8}$/.test(context)) {
    refuse(`context is ${context}, expected a whole number of at least 1`);
  }
  const word: ModelWord = {
    name,
    model,
    adapter: all('adapter'),
    draft: all('draft'),
    alias: all('alias'),
    template: one('template'),
    pooling,
    context: context === undefined ? undefined : Number(context),
  };
  if (problems.length > 0) throw new UsageError([...new Set(problems)]);
  return word;
}

/** The name under which a model is served where nobody gave one. `path`: its file or folder. */
export function usualName(model: string | undefined, path: string): string {
  const isFile = /\.(gguf|safetensors|bin)$/i.test(path);
  if (isHubName(model) && !isFile) return basename(parseHubName(model).repo);
  return runOf(path) ?? basename(resolve(path)).replace(/\.(gguf|safetensors|bin)$/i, '');
}

/** What requests may call a model by. */
export function namesOf({ alias, adapter }: ModelWord, name: string): readonly string[] {
  return [name, ...alias, ...adapter.map((text) => parseAdapter(text).name)];
}
