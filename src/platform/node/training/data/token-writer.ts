/** Tokens into the files of token shards (src/corpus/mixture/shards.ts) as they come. */
import { createHash, type Hash } from 'node:crypto';
import {
  encodeTokens,
  TOKEN_FORMAT,
  TOKEN_FORMAT_VERSION,
  type TokenManifest,
  tokenWidthFor,
} from '../../../../corpus/mixture/shards.ts';
import type { FolderSink } from '../../../../model/checkpoint/write/write-hf.ts';
import type { Tokenizer } from '../../../../tokenizer/tokenizer.ts';
import type { EncodedBatch, TextBatch } from './encode-parts.ts';

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
    readonly name: string;
    readonly sink: ReturnType<FolderSink['create']>;
    readonly hash: Hash;
    tokens: number;
    ends: number[];
  } | null = null;
  private total = 0;
  private textBytes = 0;
  /** Tokens of the document that is open. */
  private open = 0;
  /** Of each document its weight and its tokens, in turn, where documents have weights. */
  private readonly weights: NumberList | null;

  constructor(target: FolderSink, tokenizer: Tokenizer, hasWeights: boolean) {
    this.target = target;
    this.tokenizer = tokenizer;
    this.width = tokenWidthFor(tokenizer.vocabSize);
    this.weights = hasWeights ? new NumberList() : null;
  }

  add(batch: TextBatch, { ids, lengths, textBytes }: EncodedBatch): void {
    this.textBytes += textBytes;
    let at = 0;
    for (const [i, { isEnd, weight }] of batch.entries()) {
      const part = ids.subarray(at, at + lengths[i]!);
      at += part.length;
      const file = (this.file ??= this.begin());
      const bytes = encodeTokens(part, this.width);
      file.sink.write(bytes);
      file.hash.update(bytes);
      file.tokens += part.length;
      this.open += part.length;
      const isFull = file.tokens >= SHARD_TOKENS;
      if (!isEnd && !isFull) continue;
      if (!isEnd) this.cut++;
      file.ends.push(file.tokens);
      this.documentCount++;
      this.weights?.push(weight);
      this.weights?.push(this.open);
      this.open = 0;
      if (isFull) this.close();
    }
  }

  /** Writes what describes the tokens. `more` lies in text.json, beside the size of the text. */
  finish(source: string, tokenizerDigest: string, weightPower: number, more: object): void {
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
    if (this.weights)
      this.write('weights.bin', new Uint8Array(meanOneWeights(this.weights.values(), weightPower).buffer));
    this.write('text.json', json({ ...more, textBytes: this.textBytes }));
  }

  private begin(): NonNullable<TokenWriter['file']> {
    const name = `tokens-${String(this.shards.length).padStart(5, '0')}`;
    return { name, sink: this.target.create(`${name}.bin`), hash: createHash('sha256'), tokens: 0, ends: [] };
  }

  private close(): void {
    const { name, sink, hash, tokens, ends } = this.file!;
    sink.close();
    const endsFile = `${name}.ends.bin`;
    this.shards.push({
      file: `${name}.bin`,
      tokenCount: tokens,
      sha256: hash.digest('hex'),
      endsFile,
      documentCount: ends.length,
      endsSha256: this.write(endsFile, encodeTokens(ends, 'u32')),
    });
    this.total += tokens;
    this.file = null;
  }

  private write(name: string, bytes: Uint8Array): string {
    const sink = this.target.create(name);
    sink.write(bytes);
    sink.close();
    return createHash('sha256').update(bytes).digest('hex');
  }
}

/** weight^power of each document, scaled so that an epoch has as many tokens as the text. `pairs`: weight and tokens, in turn. */
function meanOneWeights(pairs: Float64Array, power: number): Float32Array {
  const weights = new Float32Array(pairs.length / 2);
  let weighted = 0;
  let plain = 0;
  for (let i = 0; i < weights.length; i++) {
    const length = pairs[2 * i + 1]!;
    weights[i] = pairs[2 * i]! ** power;
    weighted += weights[i]! * length;
    plain += length;
  }
  return weights.map((weight) => (weight * plain) / weighted);
}

/** A list of numbers that takes 8 bytes for each: a text may have many millions of documents. */
class NumberList {
  private numbers = new Float64Array(1024);
  private count = 0;

  push(value: number): void {
    if (this.count === this.numbers.length) {
      const larger = new Float64Array(2 * this.count);
      larger.set(this.numbers);
      this.numbers = larger;
    }
    this.numbers[this.count++] = value;
  }

  values(): Float64Array {
    return this.numbers.subarray(0, this.count);
  }
}
