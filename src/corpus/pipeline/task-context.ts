import type { Recipe } from '../recipe/recipe.ts';
import type { StageEnvironment } from '../stages/table.ts';
import type { CorpusHost } from './host.ts';

/** What every task may use beside its own fields. */
export interface TaskContext {
  readonly recipe: Recipe;
  readonly host: CorpusHost;
  readonly environment: StageEnvironment;
}
