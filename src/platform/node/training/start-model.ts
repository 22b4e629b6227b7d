/** The model that a run of `cria train` goes on from: found, compared with the recipe, and read. */

import { ConfigError, CriaError } from '../../../base/errors.ts';
import { canWriteTokenizer } from '../../../model/checkpoint/write/write-hf.ts';
import type { Parameter } from '../../../model/parameters.ts';
import { hfConfigOf } from '../../../model/spelling/hf.ts';
import { readWeights } from '../../../quant/rows.ts';
import { createTokenizer } from '../../../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../../../tokenizer/tokenizer.ts';
import { type Start, startNameOf } from '../../../training/recipe/start.ts';
import type { PullOptions } from '../../hub/pull.ts';
import { openCheckpointAt } from '../files.ts';
import { findModel } from './find-model.ts';
import { digestOfWeights } from './weights-digest.ts';

export interface StartModel extends Start {
  readonly path: string;
  /** Of its weights. */
  readonly digest: string;
  /** By how it stores its weights: "Q4_0, IQ4_NL". */
  readonly types: string;
}

/** The start of a recipe that was not checked yet; null: it has none. Throws ConfigError `recipe.from`. */
export async function findStart(value: object, file: string, hub: PullOptions): Promise<StartModel | null> {
  const name = startNameOf(value);
  if (name === null) return null;
  const refuse = (problem: string) => new ConfigError(`${file}: model.from`, [problem], 'recipe.from');
  const path = await findModel(name, hub).catch((error: unknown) => {
    throw error instanceof CriaError && error.code === 'model.not-found' ? refuse(error.message) : error;
  });
  const checkpoint = openCheckpointAt(path);
  try {
    const { config, tensors, tokenizer } = checkpoint;
    hfConfigOf(config); // what no checkpoint of the run could say is said now
    if (tokenizer !== null && !canWriteTokenizer(checkpoint)) {
      throw refuse(`${name}: its kind of tokenizer has no form in a Hugging Face folder, which checkpoints are`);
    }
    const types = [...new Set([...tensors.values()].map(({ dtype }) => dtype))].join(', ');
    const tokenizerPath = tokenizer === null ? null : path;
    return { name, path, config, tokenizerPath, digest: digestOfWeights(checkpoint), types };
  } finally {
    checkpoint.close();
  }
}

/** Throws ConfigError `recipe.from` where the recipe's tokenizer gives other ids than the model was trained on. */
export function checkTokens({ name, path, config }: StartModel, tokenizer: Tokenizer, recipe: string): void {
  const problem = problemOfTokens(path, config.vocabSize, tokenizer);
  if (problem === null) return;
  const advice = 'The embeddings belong to its own tokens: leave tokenizer.path out';
  throw new ConfigError(`recipe ${recipe}: model.from ${name}`, [`${problem}. ${advice}`], 'recipe.from');
}

function problemOfTokens(path: string, vocabSize: number, tokenizer: Tokenizer): string | null {
  const checkpoint = openCheckpointAt(path);
  checkpoint.close();
  if (checkpoint.tokenizer === null) {
    const { vocabSize: count } = tokenizer;
    return count === vocabSize ? null : `tokenizer.path has ${count} pieces, and the model ${vocabSize}`;
  }
  const own = createTokenizer(checkpoint.tokenizer);
  for (let id = 0; id < Math.max(own.vocabSize, tokenizer.vocabSize); id++) {
    const [mine, theirs] = [own, tokenizer].map((each) => (id < each.vocabSize ? each.pieceOf(id) : 'none'));
    if (mine === theirs) continue;
    return `piece ${id} is ${JSON.stringify(theirs)} in tokenizer.path, and ${JSON.stringify(mine)} in the model's tokenizer`;
  }
  return null;
}

/** The start's weights as numbers, one parameter at a time, until it is closed. */
export function openStart({ path }: StartModel): { numbers(parameter: Parameter): Float32Array; close(): void } {
  const checkpoint = openCheckpointAt(path);
  return {
    numbers: ({ name }) => readWeights(checkpoint.tensors.get(name)!),
    close: () => checkpoint.close(),
  };
}
