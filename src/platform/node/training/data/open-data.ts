/** The texts of a recipe, tokenized, and what tells them from others. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../../../base/errors.ts';
import type { TokenizerFiles } from '../../../../formats/tokenizer-files.ts';
import { createTokenizer } from '../../../../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../../../../tokenizer/tokenizer.ts';
import type { Source } from '../../../../training/data/packer.ts';
import type { Recipe } from '../../../../training/recipe.ts';
import { findTokenizerFiles } from '../../load-tokenizer.ts';
import { digestOf } from '../whole-folder.ts';
import { openTokens, type TextSource } from './token-cache.ts';

/** Digests of everything that a recipe reads, by the setting that names it. A folder of token shards is known by its manifest. */
export function digestsOf({ tokenizer, data }: Recipe): Record<string, string> {
  const digest = (path: string) => digestOf(statSync(path).isDirectory() ? join(path, 'manifest.json') : path);
  return {
    'tokenizer.path': digestOf(tokenizerFile(tokenizer.path)),
    ...Object.fromEntries(data.train.map(({ path }, i) => [`data.train.${i}.path`, digest(path)])),
    ...(data.valid !== undefined && { 'data.valid': digest(data.valid) }),
  };
}

export function openTokenizer({ tokenizer: { path } }: Recipe): { files: TokenizerFiles; tokenizer: Tokenizer } {
  const files = findTokenizerFiles(path);
  return { files, tokenizer: createTokenizer(files) };
}

/** The file that tells a tokenizer from others, where a folder is named. */
function tokenizerFile(path: string): string {
  return statSync(path).isDirectory() ? join(path, findTokenizerFiles(path).file) : path;
}

/** The tokens of every source and of what validates, made in `folder` where they are not there yet. */
export async function openData(
  recipe: Recipe,
  folder: string,
  tokenizer: Tokenizer,
  digests: Readonly<Record<string, string>>,
  tell: (message: string) => void,
): Promise<{ sources: Source[]; validation: { documents: Source['documents']; textBytes: number } }> {
  const { train, valid } = recipe.data;
  const open = (source: TextSource, place: string) =>
    openTokens(source, join(folder, place), tokenizer, digests['tokenizer.path']!, tell);
  const part = valid === undefined ? 'kept' : 'all';
  const sources: Source[] = [];
  for (const [i, { name = `source ${i + 1}`, path, share, weightField, weightPower }] of train.entries()) {
    const { documents } = await open({ name, paths: [path], part, weightField, weightPower }, `train-${i}`);
    sources.push({ documents, share });
  }
  const all = { name: 'validation', weightField: undefined, weightPower: 1 };
  const { documents, textBytes } = await open(
    valid === undefined
      ? { ...all, paths: train.map(({ path }) => path), part: 'heldBack' }
      : { ...all, paths: [valid], part: 'all' },
    'valid',
  );
  if (textBytes === null) {
    throw new ConfigError(`recipe ${recipe.name}`, [
      'data.valid is a folder of token shards; bits per byte need the text itself (.jsonl, .jsonl.gz, .txt)',
    ]);
  }
  return { sources, validation: { documents, textBytes } };
}
