/** Corpus building in a program: `import { loadRecipe, buildCorpus } from 'cria/corpus'`. */

export { ConfigError, CriaError, FormatError } from '../../../base/errors.ts';
export type { CorpusEvent, CorpusSummary } from '../../../corpus/pipeline/run.ts';
export type { Recipe } from '../../../corpus/recipe/recipe.ts';
export { type BuildOptions, type BuiltCorpus, buildCorpus, loadRecipe } from './build.ts';
export { type DropQuery, findDrops, readAudit } from './inspect.ts';
