/** The files of a recipe, looked at before any work: all that is missing is said at once. */
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { ConfigError } from '../../../base/errors.ts';
import type { Recipe } from '../../../training/recipe/recipe.ts';
import { filesAt } from './data/text-files.ts';
import { isShardFolder } from './data/token-cache.ts';
import { CHECKPOINTS } from './run-checkpoint.ts';

/** Throws ConfigError `recipe.paths` with every path that is not what the run needs. */
export function checkPaths({ name, tokenizer, data }: Recipe): void {
  const problems: string[] = [];
  const there = (setting: string, path: string, advice = ''): boolean => {
    if (existsSync(path)) return true;
    problems.push(`${setting}: ${path} does not exist. ${advice}Say where it is with --set ${setting}=PATH`);
    return false;
  };
  /** A file, a folder of texts or of token shards, or a pattern that matches some. */
  const hasText = (setting: string, path: string): boolean => {
    if (!existsSync(path) && filesAt(path).length === 0) return there(setting, path);
    const isRun = existsSync(join(path, CHECKPOINTS));
    if (!isRun && (isShardFolder(path) || filesAt(path).length > 0)) return true;
    const what = isRun
      ? 'the folder of a run'
      : 'a folder without texts (.txt, .md, .jsonl, .json, .csv, .tsv, .parquet)';
    problems.push(
      `${setting}: ${path} is ${what}, and is a folder without manifest.json, which token shards of \`cria corpus\` have`,
    );
    return false;
  };
  there(
    'tokenizer.path',
    tokenizer.path,
    `Make one with \`cria tokenizer train ${data.train[0]!.path} -o ${dirname(tokenizer.path)}\`. `,
  );
  for (const [i, { path }] of data.train.entries()) {
    const setting = `data.train.${i}.path`;
    if (!hasText(setting, path) || !isShardFolder(path)) continue;
    if (data.valid === undefined) {
      problems.push(
        `data.valid is missing, and of ${path}, a folder of token shards, no text can be held back. Name a text with --set data.valid=PATH`,
      );
    }
  }
  const { valid = [] } = data;
  for (const [i, { path }] of valid.entries())
    hasText(valid.length === 1 ? 'data.valid' : `data.valid.${i}.path`, path);
  if (problems.length > 0) throw new ConfigError(`recipe ${name}`, problems, 'recipe.paths');
}
