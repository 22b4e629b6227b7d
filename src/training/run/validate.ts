/** What a run knows of its model on texts that it is not trained on. */
import type { Collective } from '../collective.ts';
import type { Documents } from '../data/documents.ts';
import { evaluate } from '../evaluate.ts';
import type { DerivedRecipe, Recipe } from '../recipe/recipe.ts';
import type { StepTrainer, Weights } from '../trainer.ts';

export interface ValidationSet {
  readonly name: string;
  readonly documents: Documents;
  readonly textBytes: number;
}

export interface Validated {
  readonly loss: number;
  readonly bitsPerByte: number;
}

/** Of the set by which the best checkpoint is chosen, and of the weights that the recipe's output has. */
export interface ValidationMetrics extends Validated {
  /** Where there are several: every set by its name. */
  readonly sets?: Readonly<Record<string, Validated>>;
  /** Where an average is kept: the other weights on the set that chooses. */
  readonly averaged?: Validated;
  readonly trained?: Validated;
}

export interface ValidationParts {
  readonly recipe: Recipe;
  readonly derived: DerivedRecipe;
  readonly trainer: StepTrainer;
  readonly validations: readonly ValidationSet[];
  readonly collective: Collective;
}

/** All ranks must call it. */
export async function validate(parts: ValidationParts): Promise<ValidationMetrics> {
  const { recipe, derived, trainer, validations, collective } = parts;
  const evaluated = async ({ documents, textBytes }: ValidationSet, weights: Weights): Promise<Validated> => {
    const size = { rows: derived.rows, length: derived.config.contextLength, weights };
    const { loss, bitsPerByte } = await evaluate(trainer, documents, textBytes, size, collective);
    return { loss, bitsPerByte };
  };
  const { weights, bestBy = validations[0]!.name } = recipe.output;
  const found = new Map<string, Validated>();
  for (const set of validations) found.set(set.name, await evaluated(set, weights));
  const other = weights === 'trained' ? 'averaged' : 'trained';
  const chooser = validations.find(({ name }) => name === bestBy)!;
  return {
    ...found.get(bestBy)!,
    ...(found.size > 1 && { sets: Object.fromEntries(found) }),
    ...(trainer.average && { [other]: await evaluated(chooser, other) }),
  };
}
