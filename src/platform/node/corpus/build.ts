/** `cria corpus` without its command line: a recipe file and a few settings → token shards, audit, report. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parse, YAMLParseError } from 'yaml';
import { ConfigError } from '../../../base/errors.ts';
import { type CorpusEvent, type CorpusSummary, runCorpus } from '../../../corpus/pipeline/run.ts';
import { parseRecipe, type Recipe, setRecipeValue } from '../../../corpus/recipe/recipe.ts';
import { createCorpusHost, createPublisher } from './host.ts';
import { defaultWorkerCount, soloWorkforce, threadWorkforce } from './workers.ts';

export interface BuildOptions {
  /** `key.path=value` changes to the recipe, values in YAML. */
  readonly set?: readonly string[];
  /** Worker threads; 0 works on this thread. All cores when absent. */
  readonly workers?: number;
  readonly sample?: number;
  /** Check the digests of what is already there. */
  readonly verify?: boolean;
  readonly shard?: { readonly index: number; readonly count: number };
  readonly onEvent?: (event: CorpusEvent) => void;
  readonly signal?: AbortSignal;
}

export function loadRecipe(path: string, set: readonly string[] = []): Recipe {
  let value: unknown;
  try {
    value = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof YAMLParseError) throw new ConfigError(path, [error.message], 'recipe.yaml');
    throw error;
  }
  const problems: string[] = [];
  for (const change of set) {
    const equals = change.indexOf('=');
    if (equals < 1) problems.push(`--set ${change}: expected key=value`);
    else setRecipeValue(value, change.slice(0, equals), parse(change.slice(equals + 1)));
  }
  if (problems.length > 0) throw new ConfigError(path, problems, 'recipe.set');
  return parseRecipe(value, path);
}

export interface BuiltCorpus extends CorpusSummary {
  /** Where the results lie. */
  readonly output: string;
}

export async function buildCorpus(recipe: Recipe, options: BuildOptions = {}): Promise<BuiltCorpus> {
  const output = options.sample === undefined ? recipe.output : join(recipe.output, 'dry-run');
  const folders = { input: recipe.input, output };
  const host = createCorpusHost({ ...folders, verify: options.verify ?? false });
  const count = options.workers ?? defaultWorkerCount();
  const workforce = count === 0 ? soloWorkforce(recipe, host) : threadWorkforce(recipe, folders, count, options.signal);
  try {
    const summary = await runCorpus(recipe, host, createPublisher(output), workforce, options);
    return { ...summary, output };
  } finally {
    await workforce.close();
  }
}
