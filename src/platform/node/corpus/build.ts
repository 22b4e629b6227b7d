/** `cria corpus` without its command line: a recipe file and a few settings → token shards, audit, report. */
import { accessSync, constants, readFileSync, statSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parse, YAMLParseError } from 'yaml';
import { ConfigError, CriaError } from '../../../base/errors.ts';
import { type CorpusEvent, type CorpusSummary, runCorpus } from '../../../corpus/pipeline/run.ts';
import { parseRecipe, type Recipe, setRecipeValue } from '../../../corpus/recipe/recipe.ts';
import { addressBelow, isAddress } from '../../remote/address.ts';
import type { Patience } from '../../remote/http.ts';
import { type Listed, type RemoteThread, startRemoteThread } from '../../remote/remote.ts';
import { makeFolder } from '../make-folder.ts';
import { DEFAULT_LEASE_SECONDS, thisProcess } from './claims.ts';
import { createCorpusHost, createPublisher, type Folders } from './host.ts';
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
  /** How long a server is waited for, and how soon it is asked again. */
  readonly patience?: Patience;
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
  const remote = namesAddresses(recipe)
    ? startRemoteThread({ env: { ...process.env }, ...(options.patience ? { patience: options.patience } : {}) })
    : undefined;
  try {
    const listed = remote && (await listSources(recipe, remote, options.signal));
    return await buildFrom(recipe, folders, remote, listed, options);
  } finally {
    await remote?.close();
  }
}

/** The sources' files by address, listed while this thread still hears interrupts. */
async function listSources(recipe: Recipe, remote: RemoteThread, signal: AbortSignal | undefined): Promise<Listed> {
  const stopped = new Promise<never>((_, reject) => {
    const stop = () => reject(new CriaError('corpus.stopped', 'corpus: stopped; run the same command again to go on'));
    if (signal?.aborted) stop();
    else signal?.addEventListener('abort', stop, { once: true });
  });
  stopped.catch(() => {}); // it may come after the lists
  const patterns = Object.values(recipe.sources).flatMap(({ files }) =>
    files.map((pattern) => addressBelow(recipe.input, pattern)).filter((address) => address !== undefined),
  );
  const lists = [...new Set(patterns)].map(async (pattern) => [pattern, await remote.list(pattern)] as const);
  return new Map(await Promise.race([Promise.all(lists), stopped]));
}

async function buildFrom(
  recipe: Recipe,
  folders: Folders,
  remote: RemoteThread | undefined,
  listed: Listed | undefined,
  options: BuildOptions,
): Promise<BuiltCorpus> {
  const leaseSeconds = options.leaseSeconds ?? DEFAULT_LEASE_SECONDS;
  const claims = { leaseSeconds, holder: thisProcess() };
  const verify = options.verify ?? false;
  const host = createCorpusHost({ ...folders, verify, claims, remote: remote?.port(), listed });
  const count = options.workers ?? defaultWorkerCount();
  const stallSeconds = options.stallSeconds ?? DEFAULT_STALL_SECONDS;
  const workforce =
    count === 0
      ? soloWorkforce(recipe, host)
      : threadWorkforce(recipe, folders, { count, stallSeconds, claims, remote, signal: options.signal });
  const refreshing = setInterval(() => host.work.claims.refresh(), leaseSeconds * 100);
  try {
    const summary = await runCorpus(recipe, host, createPublisher(folders.output), workforce, options);
    return { ...summary, output: folders.output };
  } finally {
    clearInterval(refreshing);
    await workforce.close();
  }
}

/** Before anything is read: an input folder that is there, an output folder that can be written. */
function checkFolders(recipe: string, { input, output }: { input: string; output: string }): void {
  const problems: string[] = [];
  const stat = isAddress(input) ? undefined : statSync(input, { throwIfNoEntry: false });
  if (!isAddress(input) && !stat?.isDirectory())
    problems.push(
      `input: ${resolve(input)} is ${stat ? 'a file' : 'not there'}, expected the folder with the raw files. Set it with --input.`,
    );
  try {
    if (isAddress(output))
      problems.push(`output: ${output} is an address, expected a folder: results stay on this machine. Set --out.`);
    else {
      makeFolder(output);
      accessSync(output, constants.W_OK);
    }
  } catch (error) {
    if (!isErrno(error)) throw error;
    problems.push(`output: ${resolve(output)} cannot be written: ${reasonOf(error)}. Set another with --out.`);
  }
  if (problems.length > 0) throw new ConfigError(recipe, problems, 'recipe.folders');
}

/** True when any text of the recipe is an address. */
function namesAddresses(value: unknown): boolean {
  if (typeof value === 'string') return isAddress(value);
  return typeof value === 'object' && value !== null && Object.values(value).some(namesAddresses);
}

function isErrno(error: unknown): error is NodeJS.ErrnoException {
  return error instanceof Error && typeof (error as NodeJS.ErrnoException).syscall === 'string';
}

/** What the system said, without the path, which the message has already. */
function reasonOf({ code, message }: NodeJS.ErrnoException): string {
  return code === 'ENOENT' ? 'there is no such file' : message.replace(/^\w+: /, '').replace(/, \w+ '.*$/, '');
}
