import { basename } from 'node:path';
import { parse } from 'yaml';
import { ConfigError, UsageError } from '../../base/errors.ts';
import { readRecipeText } from '../../platform/node/training/recipe-files.ts';
import { setValue } from '../../training/recipe/schema.ts';

/** A recipe file's settings with those of `--set` over them, not yet checked. Throws ConfigError `recipe.…`, UsageError. */
export function readRecipeFile(path: string, assignments: readonly string[]): object {
  const text = readRecipeText(path);
  let value: unknown;
  try {
    value = parse(text) ?? {};
  } catch (error) {
    if (!(error instanceof Error)) throw error;
    throw new ConfigError(basename(path), [error.message.split('\n')[0]!], 'recipe.yaml');
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new ConfigError(basename(path), ['expected settings by name, found something else'], 'recipe.invalid');
  }
  const problems = assignments.flatMap((assignment) => setValue(value, assignment, readValue) ?? []);
  if (problems.length > 0) throw new UsageError(problems);
  return value;
}

/**
 * The value of `--set KEY=VALUE`: YAML's numbers, yes and no, nothing, quoted texts, lists and groups. All else is the text itself, also where
 * YAML would read something else: a pattern that begins with *, or a prompt with a # or a colon in it.
 */
export function readValue(text: string): unknown {
  let value: unknown;
  try {
    value = parse(text, { logLevel: 'error' });
  } catch {
    return text;
  }
  const isWritten = /^\s*["'[{]/.test(text) || /^\s*(null|~)?\s*$/i.test(text);
  return isWritten || typeof value === 'number' || typeof value === 'boolean' ? value : text;
}
