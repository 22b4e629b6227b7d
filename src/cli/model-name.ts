/** From what the user calls a model to the path of its file or folder. */
import { existsSync } from 'node:fs';
import { CriaError } from '../base/errors.ts';
import { findCached, notCached } from '../platform/hub/cache.ts';
import { isHubName, parseHubName } from '../platform/hub/names.ts';
import { bundledModels } from '../platform/node/bundled-models.ts';
import { modelOfRun } from '../platform/node/training/run-checkpoint.ts';
import { didYouMean } from './parse/did-you-mean.ts';

/** The model that is meant where none is named. */
const BUNDLED = 'bundled';

/**
 * A path, the folder of a training run (its best checkpoint), the name of a bundled model, or `hf:owner/repo` of one that was pulled;
 * `bundled`, or nothing, means the first bundled model.
 */
export function resolveModel(name: string | undefined): string {
  const bundled = bundledModels();
  if (name === undefined || (name === BUNDLED && !existsSync(name))) {
    if (bundled[0]) return bundled[0].path;
    throw new CriaError(
      'model.none',
      'no model was named, and this copy of Cria has none of its own. ' +
        'Name a file or folder with -m PATH (GGUF, safetensors, a Meta or Hugging Face folder, llama2.c), ' +
        'or make an untrained one: `cria init stories-260k -o tiny.gguf`.',
    );
  }
  if (existsSync(name)) return modelOfRun(name) ?? name;
  if (isHubName(name)) {
    const hub = parseHubName(name);
    const path = findCached(hub);
    if (path === null) throw notCached(hub);
    return path;
  }
  const known = bundled.find((model) => model.name === name);
  if (known) return known.path;
  const names = bundled.map((model) => model.name);
  const choices = names.length === 0 ? 'There are no bundled models' : `Bundled models: ${names.join(', ')}`;
  throw new CriaError(
    'model.not-found',
    `${name}: expected a file, a folder, the name of a bundled model or hf:owner/repo, found nothing of this name${didYouMean(name, names)}. ${choices}.`,
  );
}

/** Whether a word is meant as a model rather than as a text: it exists, is bundled, or is spelled like a model's path. */
export function looksLikeModel(word: string): boolean {
  if (isHubName(word) || word === BUNDLED || bundledModels().some(({ name }) => name === word)) return true;
  if (/\.(gguf|safetensors|bin|pth|pt)$/i.test(word)) return true;
  return !/\s/.test(word) && existsSync(word);
}
