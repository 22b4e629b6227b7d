/** `cria corpus` without its command line: a recipe file and a few settings → token shards, audit, report. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse, YAMLParseError } from 'yaml';
import { ConfigError } from '../../../base/errors.ts';
import { type CorpusEvent, type CorpusSummary, runCorpus } from '../../../corpus/pipeline/run.ts';
import { parseRecipe, type Recipe, setRecipeValue } from '../../../corpus/recipe/recipe.ts';
import { makeFolder } from '../make-folder.ts';
import { DEFAULT_LEASE_SECONDS, thisProcess } from './claims.ts';
import { createCorpusHost, createPublisher } from './host.ts';
import { DEFAULT_STALL_SECONDS, defaultWorkerCount, soloWorkforce, threadWorkforce } from './workers.ts';
import { zstd } from './zstd.ts';

export interface BuildOptions {
  /** `key.path=value` changes to the recipe, values in YAML. */
  readonly set?: readonly string[];
  /** Worker threads; 0 works on this thread. All cores when absent. */
  readonly workers?: number;
  readonly sample?: number;
  /** Check the digests of what is already there. */
  readonly verify?: boolean;
  /** A unit of input in which nothing has moved for so long is ended and tried once more; 300. Only with worker threads. */
  readonly stallSeconds?: number;
  /** A process that has given no sign of life for so long loses its units to others; 120. */
  readonly leaseSeconds?: number;
  readonly onEvent?: (event: CorpusEvent) => void;
  readonly signal?: AbortSignal;
}

export function loadRecipe(path: string, set: readonly string[] = []): Recipe {
  let value: unknown;
  try {
    value = parse(readFileSync(path, 'utf8'));
  } catch (error) {
    if (error instanceof YAMLParseError) throw new ConfigError(path, [error.message], 'recipe.yaml');
    // yaml's guard against aliases of aliases, each ten times the one before.
    if (error instanceof ReferenceError)
      throw new ConfigError(path, [`${error.message}: write out what its aliases (*name) stand for`], 'recipe.yaml');
    const problem = isErrno(error) ? `the recipe cannot be read: ${reasonOf(error)}` : undefined;
    throw problem === undefined ? error : new ConfigError(path, [problem], 'recipe.unreadable');
  }
  const problems: string[] = [];
  for (const change of set) {
    const equals = change.indexOf('=');
    if (equals < 1) problems.push(`--set ${change}: expected key=value`);
    else {
      try {
        setRecipeValue(value, change.slice(0, equals), parse(change.slice(equals + 1)));
      } catch (error) {
        if (!(error instanceof YAMLParseError || error instanceof ReferenceError)) throw error;
        problems.push(`--set ${change}: ${error.message.split('\n')[0]}`);
      }
    }
  }
  if (problems.length > 0) throw new ConfigError(path, problems, 'recipe.set');
  return parseRecipe(value, path);
}

export interface BuiltCorpus extends CorpusSummary {
  /** Where the results lie. */
  readonly output: string;
}

export async function buildCorpus(recipe: Recipe, options: BuildOptions = {}): Promise<BuiltCorpus> {
  zstd(); // before any work
  const output = options.sample === undefined ? recipe.output : join(recipe.output, 'dry-run');
  const folders = { input: recipe.input, output };
  checkFolders(recipe.name, folders);
  const leaseSeconds = options.leaseSeconds ?? DEFAULT_LEASE_SECONDS;
  const claims = { leaseSeconds, holder: thisProcess() };
  const host = createCorpusHost({ ...folders, verify: options.verify ?? false, claims });
  const count = options.workers ?? defaultWorkerCount();
  const stallSeconds = options.stallSeconds ?? DEFAULT_STALL_SECONDS;
  const workforce =
    count === 0
      ? soloWorkforce(recipe, host)
      : threadWorkforce(recipe, folders, { count, stallSeconds, claims, signal: options.signal });
  const refreshing = setInterval(() => host.work.claims.refresh(), leaseSeconds * 100);
  try {
    const summary = await runCorpus(recipe, host, createPublisher(output), workforce, options);
    return { ...summary, output };
  } finally {
    clearInterval(refreshing);
    await workforce.close();
  }
}

/** Before anything is read: an input folder that is there, an output folder that can be written. */
function checkFolders(recipe: string, { input, output }: { input: string; output: string }): void {
  const problems: string[] = [];
  const stat = statSync(input, { throwIfNoEntry: false });
  if (!stat?.isDirectory())
    problems.push(
      `input: ${resolve(input)} is ${stat ? 'a file' : 'not there'}, expected the folder with the raw files. Set it with --input.`,
    );
  try {
    makeFolder(output);
    accessSync(output, constants.W_OK);
  } catch (error) {
    if (!isErrno(error)) throw error;
    problems.push(`output: ${resolve(output)} cannot be written: ${reasonOf(error)}. Set another with --out.`);
  }
  if (problems.length > 0) throw new ConfigError(recipe, problems, 'recipe.folders');
}

function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';
}

/** What the system said, without the path, which the message has already. */
function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  return code === 'ENOENT' ? 'there is no such file' : message.replace(/^\w+: /, '').replace(/, \w+ '.*$/, '');
}
