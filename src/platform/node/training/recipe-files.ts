/** Where recipes are: files, and those that come with the package, by name. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../../../base/errors.ts';
import { nearestNames } from '../../../base/nearest.ts';
import { packagePath } from '../package-folder.ts';

const folder = packagePath('recipes');
const ending = '.yaml';

/** The text of a recipe: a file's, else of the one that comes with the package under this name. Throws ArgumentError `recipe.unreadable`. */
export function readRecipeText(named: string): string {
  const isName = /^[\w-]+$/.test(named) && !existsSync(named);
  const path = isName ? join(folder, named + ending) : named;
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'error';
    const reason = code === 'EISDIR' ? 'it is a folder' : code;
    const advice = isName ? nameAdvice(named) : 'Check the path.';
    throw new ArgumentError('recipe.unreadable', `${named}: the recipe cannot be read (${reason}). ${advice}`);
  }
}

function nameAdvice(name: string): string {
  const known = existsSync(folder)
    ? readdirSync(folder)
        .filter((file) => file.endsWith(ending) && !file.startsWith('corpus-')) // those are for another verb
        .map((file) => file.slice(0, -ending.length))
    : [];
  const [near] = nearestNames(name, known, 1);
  return `It is no file here, and the recipes of the package are ${known.join(', ')}${near === undefined ? '' : ` (did you mean ${near}?)`}.`;
}
