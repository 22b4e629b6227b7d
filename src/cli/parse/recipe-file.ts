import { basename } from 'node:path';
import { parse } from 'yaml';
import { ConfigError, UsageError } from '../../base/errors.ts';
import { readRecipeText } from '../../platform/node/training/recipe-files.ts';
import { setValue } from '../../training/recipe/schema.ts';

/** A recipe file's settings with those of `--set` over them, not yet checked. Throws ConfigError `recipe.…`, UsageError. */
export function readRecipeFile(path: string, assignments: readonly string[]): object {
  let value: unknown;
  try {
    value = parse(readRecipeText(path)) ?? {};
  } catch (error) {
    if (error instanceof Error && error.name === 'YAMLParseError') {
      throw new ConfigError(basename(path), [error.message.split('\n')[0]!], 'recipe.yaml');
    }
    throw error;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(basename(path), ['expected settings by name, found something else'], 'recipe.invalid');
  }
  const problems = assignments.flatMap((assignment) => setValue(value, assignment, parse) ?? []);
  if (problems.length > 0) throw new UsageError(problems);
  return value;
}
