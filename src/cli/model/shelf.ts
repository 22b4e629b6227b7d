/** The models of `cria serve -m A -m B …` as faces of a shelf: what loads each, and how much memory that is expected to take. */
import { readdirSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { UsageError } from '../../base/errors.ts';
import { splitName } from '../../model/checkpoint/open-gguf.ts';
import { Llama } from '../../platform/node/index.ts';
import type { EngineSpec, Face } from '../../server/models/shelf.ts';
import type { ServerSettings } from '../../server/world.ts';
import { type Io, sayRemarks } from '../io.ts';
import { fetchMissing, type LoadOptions, libraryOptionsOf } from '../load-model.ts';
import { resolveModel } from '../model-name.ts';
import type { ModelOptions } from '../model-options.ts';
import { parseAdapter } from '../parse/adapter-option.ts';
import { type ModelWord, namesOf, usualName } from './model-words.ts';

type Loading = Omit<ModelOptions, 'model'> & LoadOptions;

/**
 * What is loaded alike is loaded once: two names of the same files share weights and cache. `options` and `settings` are those of
 * models that say nothing else. Throws UsageError where two things have one name, CriaError where a model is not there.
 */
export async function openShelf(
  words: readonly ModelWord[],
  options: Loading,
  settings: ServerSettings,
  templateOf: (name: string) => string,
  io: Io,
): Promise<readonly Face[]> {
  const engines = new Map<string, EngineSpec>();
  const named = new Set<string>();
  const problems: string[] = [];
  const faces: Face[] = [];
  for (const word of words) {
    const given = { ...options, ...ownOptions(word, options) };
    await fetchMissing({ ...given, model: word.model }, io);
    const path = resolveModel(word.model);
    const modelId = word.name ?? usualName(word.model, path);
    for (const name of namesOf(word, modelId)) {
      if (named.has(name)) problems.push(`-m: two things are called ${JSON.stringify(name)}, give each a NAME=`);
      named.add(name);
    }
    const adapters = word.adapter.map(parseAdapter);
    const key = JSON.stringify([path, word.adapter, given.draft, given.context]);
    const engine = engines.get(key) ?? engineOf(modelId, path, given, io);
    engines.set(key, engine);
    faces.push({
      engine,
      adapters: adapters.map(({ name }) => name),
      settings: {
        ...settings,
        modelId,
        aliases: word.alias,
        pooling: word.pooling ?? settings.pooling,
        template: word.template === undefined ? settings.template : templateOf(word.template),
      },
    });
  }
  if (problems.length > 0) throw new UsageError(problems);
  return faces;
}

/** With several adapters a request says which; with one, who says nothing means it. */
function ownOptions({ adapter, draft, context }: ModelWord, options: Loading) {
  return {
    adapter,
    adaptersAreUsual: adapter.length === 1,
    draft: draft.length > 0 ? draft : (options.draft ?? []),
    context: context ?? options.context,
  };
}

function engineOf(name: string, path: string, options: Loading, io: Io): EngineSpec {
  const drafts = (options.draft ?? []).filter((word) => word !== 'ngram').map(resolveModel);
  const adapters = options.adapter.map((text) => parseAdapter(text).path);
  return {
    name,
    bytes: [path, ...drafts, ...adapters].reduce((sum, one) => sum + bytesOf(one), 0),
    async load(onProgress, signal) {
      const model = await Llama.load(path, {
        ...libraryOptionsOf(options),
        signal,
        onProgress: ({ done, total }) => onProgress(total ? done / total : 0),
      });
      sayRemarks(model.facts.remarks, io);
      return model;
    },
  };
}

/** Of a file, of all parts of a split GGUF file, or of a folder's weights. */
function bytesOf(path: string): number {
  if (statSync(path).isDirectory()) {
    const weights = readdirSync(path).filter((name) => /\.(gguf|safetensors|bin|pth)$/.test(name));
    return weights.reduce((sum, name) => sum + statSync(join(path, name)).size, 0);
  }
  const parts = splitName.exec(path);
  if (!parts) return statSync(path).size;
  const beside = readdirSync(dirname(path)).map((name) => join(dirname(path), name));
  const mine = beside.filter((one) => splitName.exec(one)?.[1] === parts[1]);
  return mine.reduce((sum, one) => sum + statSync(one).size, 0);
}
