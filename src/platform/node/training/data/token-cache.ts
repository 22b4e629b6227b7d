/**
 * The tokens of a training text, made once per run folder: token shards (src/corpus/mixture/shards.ts), a weight per document, and
 * the size of the text. A folder that already holds token shards is used as it is.
 */
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError, FormatError } from '../../../../base/errors.ts';
import { formatBytes, formatDuration } from '../../../../base/units.ts';
import { parseTokenManifest, TokenShards } from '../../../../corpus/mixture/shards.ts';
import type { Tokenizer } from '../../../../tokenizer/tokenizer.ts';
import { type Documents, shardDocuments } from '../../../../training/data/documents.ts';
import { openFile } from '../../files.ts';
import { garbageCollector } from '../../garbage.ts';
import { verifyWholeFolder, writeWholeFolderSlowly } from '../whole-folder.ts';
import { checkShards } from './check-shards.ts';
import { type EncoderOptions, encodeParts } from './encode-parts.ts';
import { type Part, partOf } from './hold-back-parts.ts';
import { isPackedFile } from './text-files.ts';
import { readParts, type TextPart } from './texts.ts';
import { TokenWriter, WEIGHTS_FILE, type WeightScale } from './token-writer.ts';

export interface TokenizedText {
  readonly documents: Documents;
  /** UTF-8 bytes of the text; null for shards made elsewhere. */
  readonly textBytes: number | null;
}

export interface TextSource {
  readonly name: string;
  /** One folder of token shards, or files of text. */
  readonly paths: readonly string[];
  /** Of the files together. */
  readonly digest: string;
  /** Of each file: all of it, or one of the two parts that holdBack() makes. */
  readonly part: 'all' | Part;
  readonly field: string | undefined;
  readonly weightField: string | undefined;
  readonly weightPower: number;
}

export interface TokenizeOptions {
  readonly encoder: EncoderOptions;
  readonly tokenizerDigest: string;
  tell(message: string): void;
  isStopped(): boolean;
}

interface CacheKey {
  /** Of the way in which texts are read: other tokens come of another. */
  readonly reading: 2;
  readonly source: string;
  readonly part: TextSource['part'];
  readonly tokenizer: string;
  readonly field: string | null;
  readonly weightField: string | null;
  readonly weightPower: number;
}

/** Beside the tokens. */
const TEXT_FILE = 'text.json';

interface TextFacts {
  readonly key: CacheKey;
  readonly textBytes: number;
  readonly weights?: WeightScale;
}

/** Below this many bytes the start of threads takes longer than they save. */
const THREADS_FROM_BYTES = 2 ** 20;
const TELL_EVERY_MS = 10_000;

/** Opens the tokens of a source, making them where `folder` does not hold them yet. */
export async function openTokens(source: TextSource, folder: string, options: TokenizeOptions): Promise<TokenizedText> {
  const { tokenizerDigest, encoder, tell } = options;
  const [path] = source.paths;
  const open = (place: string, known: string | null) =>
    openShards(source.name, place, known, { tokenizer: encoder.tokenizer, tokenizerDigest, tell });
  if (isShardFolder(path!)) return open(path!, `${folder}.sound.json`);
  const key: CacheKey = {
    reading: 2,
    source: source.digest,
    part: source.part,
    tokenizer: tokenizerDigest,
    field: source.field ?? null,
    weightField: source.weightField ?? null,
    weightPower: source.weightPower,
  };
  const problem = problemOf(folder, key);
  if (problem) tell(`${folder}: the tokens that were made before ${problem}; they are made anew`);
  if (problem !== null) await tokenize(source, folder, key, options);
  return open(folder, null);
}

export function isShardFolder(path: string): boolean {
  return existsSync(join(path, 'manifest.json'));
}

/** Why the tokens that a folder holds cannot be taken, '' where it has none; null: they can. */
function problemOf(folder: string, key: CacheKey): string | null {
  if (!existsSync(folder)) return '';
  try {
    verifyWholeFolder(folder, ['manifest.json', TEXT_FILE]);
    const { key: found } = JSON.parse(readFileSync(join(folder, TEXT_FILE), 'utf8')) as TextFacts;
    return JSON.stringify(found) === JSON.stringify(key) ? null : 'are of another text, tokenizer or setting';
  } catch (error) {
    if (!(error instanceof FormatError || error instanceof SyntaxError)) throw error;
    return `are damaged (${error.message.replace(`${folder} @ `, '').replace(/\. [A-Z].*$/, '')})`;
  }
}

/** How far tokenizing has come. `isPacked`: the files' size does not say how much text they hold. */
export function readSoFar(now: {
  readonly read: number;
  readonly bytes: number;
  readonly isPacked: boolean;
  /** Bytes a second. */
  readonly rate: number;
  readonly threads: number;
}): string {
  const { read, bytes, isPacked, rate, threads } = now;
  const sizes = `${formatBytes(read)} of text read, the files have ${formatBytes(bytes)}${isPacked ? ' packed' : ''}`;
  const left = isPacked ? '' : `, ${formatDuration(Math.max(0, bytes - read) / rate)} left`;
  return `tokenizing: ${sizes}; ${formatBytes(rate)}/s, threads: ${threads}${left}`;
}

async function tokenize(
  source: TextSource,
  folder: string,
  key: CacheKey,
  { encoder, tell, isStopped }: TokenizeOptions,
): Promise<void> {
  const { paths, part, field, weightField } = source;
  const [first] = paths;
  const named = paths.length === 1 ? first! : `${paths.length} files, ${first} and more`;
  tell(`tokenizing ${part === 'heldBack' ? `what is held back of ${named}` : named}`);
  const bytes = paths.reduce((sum, path) => sum + statSync(path).size, 0);
  const threads = bytes < THREADS_FROM_BYTES ? 1 : encoder.threads;
  // Of packed files the size does not say how much text there is.
  const isPacked = paths.some(isPackedFile);
  let begun = { ms: performance.now(), read: 0 };
  let told = begun.ms;
  let before = 0;
  let now = 0;
  const free = garbageCollector();
  const onBytes = (count: number): void => {
    free();
    // A file that is held back from is looked through first, and then read from its beginning.
    if (count < now) begun = { ms: performance.now(), read: before };
    now = count;
    if (performance.now() - told < TELL_EVERY_MS) return;
    told = performance.now();
    tell(
      readSoFar({
        read: before + now,
        bytes,
        isPacked,
        rate: (before + now - begun.read) / ((told - begun.ms) / 1000),
        threads,
      }),
    );
  };
  async function* parts(): AsyncGenerator<TextPart> {
    for (const path of paths) {
      const open = () => readParts(path, { field, weightField }, onBytes);
      let count = 0;
      for await (const piece of part === 'all' ? open() : partOf(path, part, open)) {
        count++;
        yield piece;
      }
      if (count === 0 && (part === 'all' || (await isEmpty(open())))) {
        throw new ArgumentError('training.empty', `${path}: expected text, found none. Is it the right file?`);
      }
      [before, now] = [before + now, 0];
    }
  }
  await writeWholeFolderSlowly(folder, async (target) => {
    const writer = new TokenWriter(target, encoder.tokenizer, weightField === undefined ? null : source.weightPower);
    for await (const { batch, encoded } of encodeParts(parts(), { ...encoder, threads })) {
      if (isStopped()) throw new DOMException('stopped while tokenizing', 'AbortError');
      writer.add(batch, encoded);
    }
    if (writer.documentCount === 0) {
      throw new ArgumentError(
        'training.too-short',
        `${named}: expected a text of which a part can be held back for validation, found a word or less. Use a longer text, or name another with --set data.valid=PATH.`,
      );
    }
    writer.finish(source.name, key.tokenizer, { key });
    if (writer.cut > 0) tell(`${named}: ${writer.cut} documents are longer than a file of tokens, and are cut there`);
  });
}

async function isEmpty(parts: AsyncIterable<TextPart>): Promise<boolean> {
  for await (const _ of parts) return false;
  return true;
}

/** `known`: where it is kept that shards of others are sound; null: they are our own, and were looked at. */
function openShards(
  name: string,
  folder: string,
  known: string | null,
  {
    tokenizer,
    tokenizerDigest,
    tell,
  }: { readonly tokenizer: Tokenizer; readonly tokenizerDigest: string; tell(message: string): void },
): TokenizedText {
  const manifestFile = join(folder, 'manifest.json');
  const manifest = parseTokenManifest(readFileSync(manifestFile, 'utf8'), manifestFile);
  if (manifest.vocabularySize !== tokenizer.vocabSize) {
    throw new ArgumentError(
      'training.vocabulary',
      `${folder}: its tokens are of a vocabulary of ${manifest.vocabularySize}, the tokenizer has ${tokenizer.vocabSize} pieces. ` +
        'Use the tokenizer that the shards were made with.',
    );
  }
  if (manifest.tokenizer.sha256 !== tokenizerDigest) {
    tell(
      `${folder}: its tokens were made with another tokenizer file, ${manifest.tokenizer.name}; the sizes agree. Is it the same?`,
    );
  }
  if (known !== null) checkShards(folder, manifest, known, tell);
  const shards = new TokenShards(manifest, (file) => openFile(join(folder, file)));
  const textFile = join(folder, TEXT_FILE);
  const facts = existsSync(textFile) ? (JSON.parse(readFileSync(textFile, 'utf8')) as TextFacts) : null;
  const weightFile = join(folder, WEIGHTS_FILE);
  // An earlier version wrote them as they are to be taken.
  const scale = facts?.weights ?? { times: 1, by: 1 };
  const weighted = existsSync(weightFile) ? { source: openFile(weightFile), ...scale } : null;
  return { documents: shardDocuments(name, shards, weighted), textBytes: facts?.textBytes ?? null };
}
