import { DEFAULT_KEPT_BYTES } from '../inference/remote/load.ts';
import type { LoadProgress } from '../inference/remote/protocol.ts';
import { findCached } from '../platform/hub/cache.ts';
import { isHubName, parseHubName } from '../platform/hub/names.ts';
import type { LoadOptions as LibraryOptions } from '../platform/model-source.ts';
import { Llama } from '../platform/node/index.ts';
import { type Io, sayRemarks } from './io.ts';
import { resolveModel } from './model-name.ts';
import { type ModelOptions, openOptionsOf } from './model-options.ts';
import { parseAdapter } from './parse/adapter-option.ts';
import { startProgress } from './terminal/progress.ts';

const GIB = 2 ** 30;

/** What only some verbs say. */
export interface LoadOptions {
  readonly offline?: boolean;
  readonly ropeScaling?: string | undefined;
  readonly batchTokens?: number;
  readonly cacheTokens?: number | undefined;
  readonly maxSequences?: number;
  readonly draft?: readonly string[];
  readonly cacheDir?: string | undefined;
  readonly cacheDirGib?: number;
  /** Whether what does not name its adapters is computed with those of --adapter; absent: yes. */
  readonly adaptersAreUsual?: boolean;
}

const stageWords: Readonly<Record<LoadProgress['stage'], string>> = {
  download: 'fetching',
  load: 'loading',
  compile: 'compiling kernels',
};

/** Loads what the options name, fetching an `hf:` name that is not here yet, with a progress bar on a terminal; Ctrl-C ends it. */
export async function loadModel(
  options: Omit<ModelOptions, 'offline' | 'ropeScaling'> & LoadOptions,
  io: Io,
): Promise<Llama> {
  await fetchMissing(options, io);
  // Each stage has a rate of its own.
  let stage: LoadProgress['stage'] = 'load';
  const begin = () => startProgress(io, { what: stageWords[stage], total: 1, json: false, amount: () => '' });
  let progress = begin();
  const follow = ({ stage: now, done, total }: LoadProgress) => {
    if (now !== stage) {
      stage = now;
      progress.end();
      progress = begin();
    }
    progress.update(total ? done / total : 0);
  };
  try {
    const model = await Llama.load(resolveModel(options.model), {
      ...libraryOptionsOf(options),
      signal: io.signal,
      onProgress: follow,
    });
    progress.end();
    sayRemarks(model.facts.remarks, io);
    return model;
  } finally {
    progress.end();
  }
}

/** Fetches the `hf:` names that are not here yet. */
export async function fetchMissing(
  {
    model,
    draft = [],
    offline = false,
  }: Pick<LoadOptions, 'draft' | 'offline'> & { readonly model?: string | undefined },
  io: Io,
): Promise<void> {
  for (const name of [model, ...draft]) {
    if (!isHubName(name) || findCached(parseHubName(name)) !== null) continue;
    const { pullModel } = await import('./model/pull-model.ts'); // the hub's client is not small
    await pullModel(name, io, { offline });
  }
}

/** How a model is loaded, in the library's words. */
export function libraryOptionsOf(
  options: Omit<ModelOptions, 'offline' | 'model' | 'ropeScaling'> & LoadOptions,
): LibraryOptions {
  const { threads, context, kvType, device, blas, revectorize, native, batchTokens, cacheTokens, maxSequences } =
    options;
  const { draft = [], cacheDir, cacheDirGib = DEFAULT_KEPT_BYTES / GIB } = options;
  return {
    device,
    blas,
    revectorize,
    native,
    ...openOptionsOf(options),
    ...(options.adapter.length > 0 && {
      adapters: options.adapter.map((text) => {
        const { path, ...adapter } = parseAdapter(text);
        return { ...adapter, source: path, usual: options.adaptersAreUsual ?? true };
      }),
    }),
    ...(threads !== undefined && { threads }),
    ...(context !== undefined && { contextLength: context }),
    ...(batchTokens !== undefined && { batchTokens }),
    ...(cacheTokens !== undefined && { cacheTokens }),
    ...(maxSequences !== undefined && { maxSequences }),
    ...(kvType !== undefined && { kvType }),
    ...(cacheDir !== undefined && { cacheDir, cacheDirBytes: Math.ceil(cacheDirGib * GIB) }),
    ...(draft.length > 0 && { draft: draft.map((word) => (word === 'ngram' ? word : resolveModel(word))) }),
  };
}

/** The values of those options that a table of the library names. */
export function pick<Table extends object, Values extends object>(
  table: Table,
  values: Values,
): Pick<Values, keyof Table & keyof Values> {
  const keys = Object.keys(values).filter((key) => Object.hasOwn(table, key));
  return Object.fromEntries(keys.map((key) => [key, values[key as keyof Values]])) as Pick<
    Values,
    keyof Table & keyof Values
  >;
}
