/** The texts of a recipe, tokenized, and what tells them from others. */
import { createHash } from 'node:crypto';
import { statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../../../../base/errors.ts';
import { formatBytes, formatCount } from '../../../../base/units.ts';
import type { TokenizerFiles } from '../../../../formats/tokenizer-files.ts';
import { createTokenizer } from '../../../../tokenizer/create-tokenizer.ts';
import type { Tokenizer } from '../../../../tokenizer/tokenizer.ts';
import { cutDocuments } from '../../../../training/data/documents.ts';
import type { Source } from '../../../../training/data/packer.ts';
import { type Recipe, sourceNames, validationNames } from '../../../../training/recipe/recipe.ts';
import type { ValidationSet } from '../../../../training/run/validate.ts';
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
export async function digestsOf({ tokenizer, data }: Recipe, options: DigestOptions): Promise<Record<string, string>> {
  const digests: Record<string, string> = { 'tokenizer.path': digestOf(tokenizerFile(tokenizer.path)) };
  const known = new Map<string, string>();
  for (const [list, texts] of Object.entries({ 'data.train': data.train, 'data.valid': data.valid ?? [] })) {
    for (const [i, { path }] of texts.entries()) {
      if (!known.has(path)) known.set(path, await digestOfText(path, options));
      digests[`${list}.${i}.path`] = known.get(path)!;
    }
  }
  return digests;
}

interface DigestOptions {
  tell(message: string): void;
  isStopped(): boolean;
}

/** From so much text on it is said what takes so long. */
const TELL_FROM_BYTES = 2 ** 30;

async function digestOfText(path: string, { tell, isStopped }: DigestOptions): Promise<string> {
  if (isShardFolder(path)) return digestOf(join(path, 'manifest.json'));
  const files = textFiles(path);
  const bytes = files.reduce((sum, file) => sum + statSync(file).size, 0);
  if (bytes >= TELL_FROM_BYTES)
    tell(`${path}: reading ${formatBytes(bytes)} once, to know the text again by its digest`);
  const digests: string[] = [];
  for (const file of files) digests.push(await digestOfTextFile(file, isStopped));
  return digests.length === 1 ? digests[0]! : createHash('sha256').update(digests.join('\n')).digest('hex');
}

/** digestOf in turns, between which Ctrl-C is heard: ten gigabytes take minutes from a slow disk. */
async function digestOfTextFile(path: string, isStopped: () => boolean): Promise<string> {
  const hash = createHash('sha256');
  const chunk = new Uint8Array(1 << 20);
  const file = await open(path);
  try {
    for (;;) {
      const { bytesRead } = await file.read(chunk);
      if (bytesRead === 0) return hash.digest('hex');
      hash.update(chunk.subarray(0, bytesRead));
      if (isStopped()) throw new DOMException('stopped while reading the text', 'AbortError');
    }
  } finally {
    await file.close();
  }
}

/** The file that tells a tokenizer from others, where a folder is named. */
function tokenizerFile(path: string): string {
  return statSync(path).isDirectory() ? join(path, findTokenizerFiles(path).file) : path;
}

export interface OpenedData {
  /** Documents longer than the context are cut there. */
  readonly sources: readonly Source[];
  readonly validations: readonly ValidationSet[];
}

export interface OpenDataOptions extends OpenedTokenizer, DigestOptions {
  readonly threads: number;
  readonly contextLength: number;
  readonly digests: Readonly<Record<string, string>>;
}

/** The tokens of every source and of what validates, made in `folder` where they are not there yet. */
export async function openData(recipe: Recipe, folder: string, options: OpenDataOptions): Promise<OpenedData> {
  const { digests, contextLength, tell, isStopped } = options;
  const { train, valid } = recipe.data;
  const tokenize = { encoder: options, tokenizerDigest: digests['tokenizer.path']!, tell, isStopped };
  const openText = (source: Omit<TextSource, 'paths'>, paths: readonly string[], place: string) =>
    openTokens(
      { ...source, paths: paths.flatMap((path) => (isShardFolder(path) ? [path] : textFiles(path))) },
      join(folder, place),
      tokenize,
    );
  const part = valid === undefined ? 'kept' : 'all';
  const names = sourceNames(recipe.data);
  const sources: Source[] = [];
  for (const [i, { path, share, name: _, ...fields }] of train.entries()) {
    const digest = digests[`data.train.${i}.path`]!;
    const { documents } = await openText({ name: names[i]!, digest, part, ...fields }, [path], `train-${i}`);
    const cut = cutDocuments(documents, contextLength);
    if (cut.count > documents.count) {
      const pieces = `${formatCount(cut.count)} pieces of at most ${contextLength} tokens`;
      tell(`${path}: documents longer than the context are cut there, ${formatCount(documents.count)} into ${pieces}`);
    }
    sources.push({ documents: cut, share });
  }
  const heldBack = { paths: train.map(({ path }) => path), field: train[0]!.field };
  const sets = valid?.map(({ path, field = train[0]!.field }) => ({ paths: [path], field })) ?? [heldBack];
  const validations: ValidationSet[] = [];
  for (const [i, name] of validationNames(recipe.data).entries()) {
    const { paths, field } = sets[i]!;
    const digest = digests[`data.valid.${i}.path`] ?? train.map((_, j) => digests[`data.train.${j}.path`]).join(' ');
    const text = {
      name,
      digest,
      part: valid ? 'all' : 'heldBack',
      field,
      weightField: undefined,
      weightPower: 1,
    } as const;
    const { documents, textBytes } = await openText(text, paths, i === 0 ? 'valid' : `valid-${i}`);
    if (textBytes === null) {
      const setting = sets.length === 1 ? 'data.valid' : `data.valid.${i}.path`;
      throw new ConfigError(`recipe ${recipe.name}`, [
        `${setting} is a folder of token shards; bits per byte need the text itself (.jsonl, .jsonl.gz, .txt)`,
      ]);
    }
    validations.push({ name, documents, textBytes });
  }
  return { sources, validations };
}
