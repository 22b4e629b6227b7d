/** Tokens into the files of token shards (src/corpus/mixture/shards.ts) as they come. */
import { createHash, type Hash } from 'node:crypto';
import { ArgumentError } from '../../../../base/errors.ts';
import {
  encodeTokens,
  TOKEN_FORMAT,
  TOKEN_FORMAT_VERSION,
  type TokenManifest,
  tokenWidthFor,
} from '../../../../corpus/mixture/shards.ts';
import type { FolderSink } from '../../../../model/checkpoint/write/write-hf.ts';
import type { Tokenizer } from '../../../../tokenizer/tokenizer.ts';
import type { WeightFile } from '../../../../training/data/documents.ts';
import { END, type EncodedBatch, type TextBatch } from './encode-parts.ts';

/** f32 of each document; text.json says how they are scaled. */
export const WEIGHTS_FILE = 'weights.bin';

export type WeightScale = Pick<WeightFile, 'times' | 'by'>;

/** Tokens of one file, about. */
const SHARD_TOKENS = 50_000_000;

export class TokenWriter {
  documentCount = 0;
  /** Documents that were cut because a file of tokens ended. */
  cut = 0;
  private readonly target: FolderSink;
  private readonly tokenizer: Tokenizer;
  private readonly width: ReturnType<typeof tokenWidthFor>;
  private readonly shards: TokenManifest['shards'][number][] = [];
  private file: {
    readonly tokens: DigestedFile;
    readonly ends: DigestedFile;
    tokenCount: number;
    documentCount: number;
  } | null = null;
  private total = 0;
  private textBytes = 0;
  /** Tokens of the document that is open. */
  private open = 0;
  private readonly weights: WeightWriter | null;

  /** `weightPower`: null where documents have no weights. */
  constructor(target: FolderSink, tokenizer: Tokenizer, weightPower: number | null) {
    this.target = target;
    this.tokenizer = tokenizer;
    this.width = tokenWidthFor(tokenizer.vocabSize);
    this.weights = weightPower === null ? null : new WeightWriter(target, weightPower);
  }

  add({ borders, weights }: TextBatch, { ids, lengths, textBytes }: EncodedBatch): void {
    this.textBytes += textBytes;
    /** What is not written yet: tokens from here on, and where documents end. */
    let from = 0;
    let ends: number[] = [];
    let at = 0;
    const write = (): void => {
      if (at === from && ends.length === 0) return;
      this.file!.tokens.write(encodeTokens(ids.subarray(from, at), this.width));
      this.file!.ends.write(encodeTokens(ends, 'u32'));
      from = at;
      ends = [];
    };
    for (const [i, length] of lengths.entries()) {
      const file = (this.file ??= this.begin());
      at += length;
      file.tokenCount += length;
      this.open += length;
      const isFull = file.tokenCount >= SHARD_TOKENS;
      const isEnd = (borders[i]! & END) !== 0;
      if (!isEnd && !isFull) continue;
      if (!isEnd) this.cut++;
      ends.push(file.tokenCount);
      file.documentCount++;
      this.documentCount++;
      this.weights?.add(weights[i]!, this.open);
      this.open = 0;
      if (!isFull) continue;
      write();
      this.close();
    }
    write();
  }

  /** Writes what describes the tokens. `more` lies in text.json, beside the size of the text. */
  finish(source: string, tokenizerDigest: string, more: object): void {
    if (this.file) this.close();
    const { tokenizer, total, documentCount } = this;
    const manifest: TokenManifest = {
      format: TOKEN_FORMAT,
      version: TOKEN_FORMAT_VERSION,
      dtype: this.width,
      vocabularySize: tokenizer.vocabSize,
      bos: tokenizer.bosId,
      eos: tokenizer.eosId,
      tokenizer: { name: 'the tokenizer of the recipe', sha256: tokenizerDigest },
      seed: 0,
      tokenCount: total,
      documentCount,
      sources: { [source]: { tokens: total, documents: documentCount, share: 1, epochs: 1 } },
      shards: this.shards,
    };
    const json = (value: unknown) => new TextEncoder().encode(`${JSON.stringify(value, null, 2)}\n`);
    this.write('manifest.json', json(manifest));
    this.write('text.json', json({ ...more, textBytes: this.textBytes, ...this.weights?.finish(source) }));
  }

  private begin(): NonNullable<TokenWriter['file']> {
    const name = `tokens-${String(this.shards.length).padStart(5, '0')}`;
    const file = (ending: string) => new DigestedFile(this.target, `${name}${ending}`);
    return { tokens: file('.bin'), ends: file('.ends.bin'), tokenCount: 0, documentCount: 0 };
  }

  private close(): void {
    const { tokens, ends, tokenCount, documentCount } = this.file!;
    this.shards.push({
      file: tokens.name,
      tokenCount,
      sha256: tokens.close(),
      endsFile: ends.name,
      documentCount,
      endsSha256: ends.close(),
    });
    this.total += tokenCount;
    this.file = null;
  }

  private write(name: string, bytes: Uint8Array): void {
    const sink = this.target.create(name);
    sink.write(bytes);
    sink.close();
  }
}

class DigestedFile {
  readonly name: string;
  private readonly sink: ReturnType<FolderSink['create']>;
  private readonly hash: Hash = createHash('sha256');

  constructor(target: FolderSink, name: string) {
    this.name = name;
    this.sink = target.create(name);
  }

  write(bytes: Uint8Array): void {
    this.sink.write(bytes);
    this.hash.update(bytes);
  }

  close(): string {
    this.sink.close();
    return this.hash.digest('hex');
  }
}

/** Weights that are written at once. */
const WEIGHTS_AT_ONCE = 4096;

/** weight^power of each document into a file, and by what to scale them so that an epoch has as many tokens as the text. */
class WeightWriter {
  private readonly sink: ReturnType<FolderSink['create']>;
  private readonly power: number;
  private readonly waiting = new Float32Array(WEIGHTS_AT_ONCE);
  private count = 0;
  private weighted = 0;
  private plain = 0;

  constructor(target: FolderSink, power: number) {
    this.sink = target.create(WEIGHTS_FILE);
    this.power = power;
  }

  add(weight: number, tokens: number): void {
    if (this.count === this.waiting.length) this.flush();
    const own = (this.waiting[this.count++] = Math.fround(weight ** this.power));
    this.weighted += own * tokens;
    this.plain += tokens;
  }

  /** Throws ArgumentError `training.weights` where nothing has a weight. */
  finish(source: string): { readonly weights: WeightScale } {
    this.flush();
    this.sink.close();
    const { plain: times, weighted: by } = this;
    if (by > 0 && by < Number.POSITIVE_INFINITY) return { weights: { times, by } };
    const found = by === 0 ? 'only weights of 0' : 'weights whose sum is no number any more';
    throw new ArgumentError(
      'training.weights',
      `${source}: expected documents of which some are seen, found ${found}. Look at data.train.weightField and weightPower.`,
    );
  }

  private flush(): void {
    this.sink.write(new Uint8Array(this.waiting.buffer, 0, 4 * this.count).slice());
    this.count = 0;
  }
}
