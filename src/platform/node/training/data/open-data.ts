/** The texts of a recipe, tokenized, and what tells them from others. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../../../../base/errors.ts';
import { formatCount } from '../../../../base/units.ts';
import type { TokenizerFiles } from '../../../../formats/tokenizer-files.ts';
import { createTokenizer } from '../../../../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../../../../tokenizer/tokenizer.ts';
import { cutDocuments } from '../../../../training/data/documents.ts';
import type { Source } from '../../../../training/data/packer.ts';
import type { Recipe } from '../../../../training/recipe/recipe.ts';
import { findTokenizerFiles } from '../../load-tokenizer.ts';
import { digestOf } from '../whole-folder.ts';
import { textFiles } from './text-files.ts';
import { isShardFolder, openTokens, type TextSource } from './token-cache.ts';

export interface OpenedTokenizer {
  readonly files: TokenizerFiles;
  readonly tokenizer: Tokenizer;
}

export function openTokenizer({ tokenizer: { path } }: Recipe): OpenedTokenizer {
  const files = findTokenizerFiles(path);
  return { files, tokenizer: createTokenizer(files) };
}

/** Digests of everything that a recipe reads, by the setting that names it. A folder of token shards is known by its manifest. */
export function digestsOf({ tokenizer, data }: Recipe): Record<string, string> {
  const known = new Map<string, string>();
  const digest = (path: string): string => {
    const value = known.get(path) ?? digestOfText(path);
    known.set(path, value);
    return value;
  };
  return {
    'tokenizer.path': digestOf(tokenizerFile(tokenizer.path)),
    ...Object.fromEntries(data.train.map(({ path }, i) => [`data.train.${i}.path`, digest(path)])),
    ...(data.valid !== undefined && { 'data.valid': digest(data.valid) }),
  };
}

function digestOfText(path: string): string {
  if (isShardFolder(path)) return digestOf(join(path, 'manifest.json'));
  const digests = textFiles(path).map(digestOf);
  return digests.length === 1 ? digests[0]! : createHash('sha256').update(digests.join('\n')).digest('hex');
}

/** The file that tells a tokenizer from others, where a folder is named. */
function tokenizerFile(path: string): string {
  return statSync(path).isDirectory() ? join(path, findTokenizerFiles(path).file) : path;
}

export interface OpenedData {
  /** Documents longer than the context are cut there. */
  readonly sources: readonly Source[];
  readonly validation: { readonly documents: Source['documents']; readonly textBytes: number };
}

export interface OpenDataOptions extends OpenedTokenizer {
  readonly threads: number;
  readonly contextLength: number;
  readonly digests: Readonly<Record<string, string>>;
  tell(message: string): void;
  isStopped(): boolean;
}

/** The tokens of every source and of what validates, made in `folder` where they are not there yet. */
export async function openData(recipe: Recipe, folder: string, options: OpenDataOptions): Promise<OpenedData> {
  const { digests, contextLength, tell, isStopped } = options;
  const { train, valid } = recipe.data;
  const tokenize = { encoder: options, tokenizerDigest: digests['tokenizer.path']!, tell, isStopped };
  const open = (source: Omit<TextSource, 'paths'>, paths: readonly string[], place: string) =>
    openTokens(
      { ...source, paths: paths.flatMap((path) => (isShardFolder(path) ? [path] : textFiles(path))) },
      join(folder, place),
      tokenize,
    );
  const part = valid === undefined ? 'kept' : 'all';
  const sources: Source[] = [];
  for (const [i, { name = `source ${i + 1}`, path, share, ...fields }] of train.entries()) {
    const digest = digests[`data.train.${i}.path`]!;
    const { documents } = await open({ name, digest, part, ...fields }, [path], `train-${i}`);
    const cut = cutDocuments(documents, contextLength);
    if (cut.count > documents.count) {
      const pieces = `${formatCount(cut.count)} pieces of at most ${contextLength} tokens`;
      tell(`${path}: documents longer than the context are cut there, ${formatCount(documents.count)} into ${pieces}`);
    }
    sources.push({ documents: cut, share });
  }
  const digest = digests['data.valid'] ?? train.map((_, i) => digests[`data.train.${i}.path`]).join(' ');
  const fields = { field: train[0]!.field, weightField: undefined, weightPower: 1 };
  const paths = valid === undefined ? train.map(({ path }) => path) : [valid];
  const validation = await open(
    { name: 'validation', digest, part: valid === undefined ? 'heldBack' : 'all', ...fields },
    paths,
    'valid',
  );
  const { documents, textBytes } = validation;
  if (textBytes === null) {
    throw new ConfigError(`recipe ${recipe.name}`, [
      'data.valid is a folder of token shards; bits per byte need the text itself (.jsonl, .jsonl.gz, .txt)',
    ]);
  }
  return { sources, validation: { documents, textBytes } };
}
