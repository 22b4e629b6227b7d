/** A recipe as it was parsed → its run, or the runs of its stages one after another, each with the models of those before it. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CriaError } from '../../../base/errors.ts';
import { resolveModel } from '../../../cli/model-name.ts';
import { checkRecipe, checkStages, stageName } from '../../../finetuning/recipe.ts';
import type { Recipe } from '../../../finetuning/recipe-keys.ts';
import type { PullOptions } from '../../hub/pull.ts';
import { openCheckpointAt } from '../files.ts';
import { findModel } from '../training/find-model.ts';
import { type FinetuneOptions, finetune, type TuningResult } from './finetune.ts';
import { type Prepared, prepare } from './prepare.ts';

export interface RecipeOptions extends Omit<FinetuneOptions, 'recipe' | 'folder' | 'models' | 'onStep'> {
  /** Absent: runs/ and the recipe's name. */
  readonly out?: string | undefined;
  onStage?(recipe: Recipe, index: number, count: number): void;
  onStep(metrics: Parameters<FinetuneOptions['onStep']>[0], etaSeconds: number, totalSteps: number): void;
  onResult?(recipe: Recipe, result: TuningResult): void;
}

export interface CheckedRun {
  readonly name: string;
  /** One, or the stages in order. */
  readonly recipes: readonly Recipe[];
  readonly hasStages: boolean;
}

/** Where runs go that name no folder. */
export const RUNS = 'runs';

/** Throws ConfigError `recipe.invalid` with every problem. */
export function checkRun(value: object, file: string): CheckedRun {
  const stages = checkStages(value, file);
  if (stages === null) {
    const recipe = checkRecipe(value, file);
    return { name: recipe.name, recipes: [recipe], hasStages: false };
  }
  const { name } = value as { name?: unknown };
  return {
    name: typeof name === 'string' && name !== '' ? name : file.replace(/\.ya?ml$/, ''),
    recipes: stages,
    hasStages: true,
  };
}

/** Runs a recipe, or its stages until one is stopped. */
export async function runRecipe(
  { name, recipes, hasStages }: CheckedRun,
  options: RecipeOptions,
): Promise<TuningResult[]> {
  const root = options.out ?? join(RUNS, name);
  const folderOf = (stage: string) => (hasStages ? join(root, stage) : root);
  const find = (path: string) => findStageOrModel(path, folderOf, options.hub);
  const results: TuningResult[] = [];
  for (const [i, recipe] of recipes.entries()) {
    if (hasStages) options.onStage?.(recipe, i, recipes.length);
    const { helpfulness, safety } = recipe.judge;
    const result = await finetune({
      ...options,
      recipe,
      folder: folderOf(recipe.name),
      models: {
        from: await find(recipe.model.from),
        helpfulness: helpfulness === undefined ? null : await find(helpfulness),
        safety: safety === undefined ? null : await find(safety),
      },
    });
    options.onResult?.(recipe, result);
    results.push(result);
    if (options.isStopped()) break;
  }
  return results;
}

/** The samples of a recipe (of its first stage: later ones need models that are not there yet), without training. */
export async function prepareRecipe(
  { recipes }: CheckedRun,
  options: { readonly hub: PullOptions; tell(message: string): void },
): Promise<Prepared> {
  const recipe = recipes[0]!;
  const checkpoint = openCheckpointAt(await findStageOrModel(recipe.model.from, (stage) => stage, options.hub));
  try {
    return await prepare(recipe, checkpoint, options);
  } finally {
    checkpoint.close();
  }
}

/** The path of a model that a recipe names; what is on the hub and not here yet is fetched. */
async function findStageOrModel(path: string, folderOf: (stage: string) => string, hub: PullOptions): Promise<string> {
  const stage = stageName(path);
  if (stage !== null) {
    const folder = folderOf(stage);
    if (existsSync(folder)) return resolveModel(folder);
    throw new CriaError('finetune.stage', `${path}: expected the run of an earlier stage in ${folder}, found none.`);
  }
  return findModel(path, hub);
}
