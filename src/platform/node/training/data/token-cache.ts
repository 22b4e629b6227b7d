/**
 * The tokens of a training text, made once per run folder: token shards (src/corpus/mixture/shards.ts), a weight per document, and
 * the size of the text. A folder that already holds token shards is used as it is.
 */
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { ArgumentError } from '../../../../base/errors.ts';
import {
  encodeTokens,
  parseTokenManifest,
  TOKEN_FORMAT,
  TOKEN_FORMAT_VERSION,
  type TokenManifest,
  TokenShards,
  tokenWidthFor,
} from '../../../../corpus/mixture/shards.ts';
import type { Tokenizer } from '../../../../tokenizer/tokenizer.ts';
import { type Documents, shardDocuments } from '../../../../training/data/documents.ts';
import { type HeldBack, holdBack } from '../../../../training/data/hold-back.ts';
import { openFile } from '../../files.ts';
import { digestOf, verifyWholeFolder, writeWholeFolder } from '../whole-folder.ts';
import { readTexts, type TextDocument } from './texts.ts';

/** Tokens held at once while a text is tokenized. */
const SHARD_TOKENS = 50_000_000;

export interface TokenizedText {
  readonly documents: Documents;
  /** UTF-8 bytes of the text; null for shards made elsewhere. */
  readonly textBytes: number | null;
}

export interface TextSource {
  readonly name: string;
  /** One folder of token shards, or files of text. */
  readonly paths: readonly string[];
  /** Of each file: all of it, or one of the two parts that holdBack() makes. */
  readonly part: 'all' | keyof HeldBack<TextDocument>;
  readonly weightField: string | undefined;
  readonly weightPower: number;
}

interface CacheKey {
  readonly source: string;
  readonly part: TextSource['part'];
  readonly tokenizer: string;
  readonly weightField: string | null;
  readonly weightPower: number;
}

/** Opens the tokens of a source, making them where `folder` does not hold them yet. */
export async function openTokens(
  source: TextSource,
  folder: string,
  tokenizer: Tokenizer,
  tokenizerDigest: string,
  tell: (message: string) => void,
): Promise<TokenizedText> {
  const [path] = source.paths;
  if (source.paths.length === 1 && statSync(path!).isDirectory()) {
    return openShards(source.name, path!, tokenizer, tokenizerDigest, tell);
  }
  const key: CacheKey = {
    source: source.paths.map(digestOf).join(' '),
    part: source.part,
    tokenizer: tokenizerDigest,
    weightField: source.weightField ?? null,
    weightPower: source.weightPower,
  };
  if (!isCurrent(folder, key)) await tokenize(source, folder, tokenizer, key, tell);
  return openShards(source.name, folder, tokenizer, tokenizerDigest, tell);
}

function isCurrent(folder: string, key: CacheKey): boolean {
  const file = join(folder, 'text.json');
  if (!existsSync(file)) return false;
  const { key: found } = JSON.parse(readFileSync(file, 'utf8')) as { key: CacheKey };
  if (JSON.stringify(found) !== JSON.stringify(key)) return false;
  try {
    verifyWholeFolder(folder);
    return true;
  } catch {
    return false;
  }
}

async function tokenize(
  source: TextSource,
  folder: string,
  tokenizer: Tokenizer,
  key: CacheKey,
  tell: (message: string) => void,
): Promise<void> {
  const paths = source.paths.join(', ');
  tell(`tokenizing ${source.part === 'heldBack' ? `what is held back of ${paths}` : paths}`);
  const read: TextDocument[] = [];
  for (const path of source.paths) {
    const documents: TextDocument[] = [];
    for await (const document of readTexts(path, source.weightField))
      if (document.text !== '') documents.push(document);
    if (documents.length === 0) {
      throw new ArgumentError('training.empty', `${path}: expected text, found none. Is it the right file?`);
    }
    for (const document of source.part === 'all' ? documents : holdBack(documents)[source.part]) read.push(document);
  }
  if (read.length === 0) {
    throw new ArgumentError(
      'training.too-short',
      `${paths}: expected a text of which a part can be held back for validation, found a word or less. Use a longer text, or name another with --set data.valid=PATH.`,
    );
  }
  const textBytes = read.reduce((sum, { text }) => sum + Buffer.byteLength(text), 0);
  const width = tokenWidthFor(tokenizer.vocabSize);
  const lengths = new Float64Array(read.length);
  const shards: TokenManifest['shards'][number][] = [];
  let total = 0;
  writeWholeFolder(folder, (target) => {
    const file = (name: string, bytes: Uint8Array): string => {
      const sink = target.create(name);
      sink.write(bytes);
      sink.close();
      return createHash('sha256').update(bytes).digest('hex');
    };
    let ids: Uint32Array[] = [];
    let ends: number[] = [];
    const finish = () => {
      const number = String(shards.length).padStart(5, '0');
      const name = `tokens-${number}.bin`;
      const endsFile = `tokens-${number}.ends.bin`;
      const all = new Uint32Array(ends.at(-1) ?? 0);
      let at = 0;
      for (const part of ids) {
        all.set(part, at);
        at += part.length;
      }
      const sha256 = file(name, encodeTokens(all, width));
      const endsSha256 = file(endsFile, encodeTokens(ends, 'u32'));
      shards.push({ file: name, tokenCount: at, sha256, endsFile, documentCount: ends.length, endsSha256 });
      ids = [];
      ends = [];
    };
    for (const [i, { text }] of read.entries()) {
      const tokens = tokenizer.encode(text, { bos: tokenizer.bosId !== null, eos: tokenizer.eosId !== null });
      lengths[i] = tokens.length;
      total += tokens.length;
      ids.push(tokens);
      ends.push((ends.at(-1) ?? 0) + tokens.length);
      if (ends.at(-1)! >= SHARD_TOKENS) finish();
    }
    if (ids.length > 0) finish();
    const share = { tokens: total, documents: read.length, share: 1, epochs: 1 };
    const manifest: TokenManifest = {
      format: TOKEN_FORMAT,
      version: TOKEN_FORMAT_VERSION,
      dtype: width,
      vocabularySize: tokenizer.vocabSize,
      bos: tokenizer.bosId,
      eos: tokenizer.eosId,
      tokenizer: { name: 'the tokenizer of the recipe', sha256: key.tokenizer },
      seed: 0,
      tokenCount: total,
      documentCount: read.length,
      sources: { [source.name]: share },
      shards,
    };
    const json = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
    file('manifest.json', json(manifest));
    const weights = meanOneWeights(read, lengths, source.weightPower);
    if (source.weightField !== undefined) file('weights.bin', new Uint8Array(weights.buffer));
    file('text.json', json({ key, textBytes }));
  });
}

/** weight^power, scaled so that an epoch has as many tokens as the text. */
function meanOneWeights(documents: readonly TextDocument[], lengths: Float64Array, power: number): Float32Array {
  const weights = Float32Array.from(documents, ({ weight }) => weight ** power);
  let weighted = 0;
  let plain = 0;
  weights.forEach((weight, i) => {
    weighted += weight * lengths[i]!;
    plain += lengths[i]!;
  });
  return weights.map((weight) => (weight * plain) / weighted);
}

function openShards(
  name: string,
  folder: string,
  tokenizer: Tokenizer,
  tokenizerDigest: string,
  tell: (message: string) => void,
): TokenizedText {
  const manifest = parseTokenManifest(
    readFileSync(join(folder, 'manifest.json'), 'utf8'),
    join(folder, 'manifest.json'),
  );
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
  const shards = new TokenShards(manifest, (file) => openFile(join(folder, file)));
  const weightFile = join(folder, 'weights.bin');
  const weights = existsSync(weightFile) ? new Float32Array(new Uint8Array(readFileSync(weightFile)).buffer) : null;
  const textFile = join(folder, 'text.json');
  const textBytes = existsSync(textFile)
    ? (JSON.parse(readFileSync(textFile, 'utf8')) as { textBytes: number }).textBytes
    : null;
  return { documents: shardDocuments(name, shards, weights), textBytes };
}
