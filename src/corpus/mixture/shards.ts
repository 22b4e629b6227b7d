/**
 * Token shards: what `cria corpus` writes and the trainer reads.
 *
 *   manifest.json            this description: counts, digests, vocabulary, seed, shares (TokenManifest)
 *   tokens-00000.bin         the tokens of one shard, one after the other, u16 or u32, little-endian
 *   tokens-00000.ends.bin    u32 little-endian per document: the shard position just after its last token
 *
 * Documents are whole and in shuffled order; their first and last ids are BOS and EOS where the manifest says so.
 * Shards are read as one long row of tokens, in the manifest's order. Every file can be memory-mapped: no header, no padding.
 */
import { FormatError } from '../../base/errors.ts';
import type { ByteSource } from '../../tensor/source.ts';

export const TOKEN_FORMAT = 'cria-tokens';
export const TOKEN_FORMAT_VERSION = 1;

export type TokenWidth = 'u16' | 'u32';

export interface TokenManifest {
  readonly format: typeof TOKEN_FORMAT;
  readonly version: typeof TOKEN_FORMAT_VERSION;
  readonly dtype: TokenWidth;
  readonly vocabularySize: number;
  readonly bos: number | null;
  readonly eos: number | null;
  readonly tokenizer: { readonly name: string; readonly sha256: string };
  readonly seed: number;
  readonly tokenCount: number;
  readonly documentCount: number;
  /** What the mixture holds of each source: tokens drawn, share of all tokens, passes over the source's own tokens. */
  readonly sources: Readonly<Record<string, MixtureShare>>;
  readonly shards: readonly ShardEntry[];
}

export interface MixtureShare {
  readonly tokens: number;
  readonly documents: number;
  readonly share: number;
  readonly epochs: number;
}

export interface ShardEntry {
  readonly file: string;
  readonly tokenCount: number;
  readonly sha256: string;
  readonly endsFile: string;
  readonly documentCount: number;
  readonly endsSha256: string;
}

/** u16 holds every id of a vocabulary of up to 65,536 pieces. */
export function tokenWidthFor(vocabularySize: number): TokenWidth {
  return vocabularySize <= 0x10000 ? 'u16' : 'u32';
}

export function bytesPerToken(width: TokenWidth): number {
  return width === 'u16' ? 2 : 4;
}

/** Ids → bytes as they lie in a shard. */
export function encodeTokens(ids: ArrayLike<number>, width: TokenWidth): Uint8Array {
  const size = bytesPerToken(width);
  const bytes = new Uint8Array(ids.length * size);
  const view = new DataView(bytes.buffer);
  for (let i = 0; i < ids.length; i++) {
    if (size === 2) view.setUint16(i * 2, ids[i]!, true);
    else view.setUint32(i * 4, ids[i]!, true);
  }
  return bytes;
}

/** Reads a manifest and says everything that is wrong with it. Throws FormatError `tokens.manifest`. */
export function parseTokenManifest(text: string, file = 'manifest.json'): TokenManifest {
  const fail = (problem: string): never => {
    throw new FormatError(
      { code: 'tokens.manifest', file, where: 'manifest' },
      problem,
      'Was it written by `cria corpus`? Make the token shards again.',
    );
  };
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return fail('it is not JSON');
  }
  const manifest = value as Partial<TokenManifest>;
  const problems: string[] = [];
  if (manifest.format !== TOKEN_FORMAT)
    problems.push(`format is ${JSON.stringify(manifest.format)}, not ${TOKEN_FORMAT}`);
  if (manifest.version !== TOKEN_FORMAT_VERSION) problems.push(`version ${manifest.version} is not known here`);
  if (manifest.dtype !== 'u16' && manifest.dtype !== 'u32') problems.push('dtype must be u16 or u32');
  if (!isCount(manifest.vocabularySize)) problems.push('vocabularySize must be a count');
  if (!isCount(manifest.tokenCount)) problems.push('tokenCount must be a count');
  if (!isCount(manifest.documentCount)) problems.push('documentCount must be a count');
  const shards = Array.isArray(manifest.shards) ? manifest.shards : [];
  if (!Array.isArray(manifest.shards)) problems.push('shards must be a list');
  for (const [i, shard] of shards.entries()) {
    const entry = shard as Partial<ShardEntry>;
    if (!isFileName(entry.file) || !isFileName(entry.endsFile)) problems.push(`shards[${i}] must name two plain files`);
    if (!isCount(entry.tokenCount) || !isCount(entry.documentCount)) problems.push(`shards[${i}] must have counts`);
  }
  if (problems.length > 0) fail(problems.join('; '));
  const tokenSum = shards.reduce((sum, shard) => sum + shard.tokenCount, 0);
  if (tokenSum !== manifest.tokenCount)
    fail(`the shards hold ${tokenSum} tokens, tokenCount says ${manifest.tokenCount}`);
  return manifest as TokenManifest;
}

/** All tokens of a manifest as one row, read on demand. `open` gives a file of the manifest's folder. */
export class TokenShards {
  readonly manifest: TokenManifest;
  readonly tokenCount: number;
  /** Over all shards, whatever the manifest says of them together. */
  readonly documentCount: number;
  /** Position of each shard's first token, and tokenCount at the end. */
  private readonly starts: readonly number[];
  /** The number of each shard's first document, and documentCount at the end. */
  private readonly documentStarts: readonly number[];
  private readonly open: (file: string) => ByteSource;
  private readonly sources: (ByteSource | undefined)[];
  private readonly ends: (Uint32Array | undefined)[];

  constructor(manifest: TokenManifest, open: (file: string) => ByteSource) {
    this.manifest = manifest;
    this.open = open;
    this.tokenCount = manifest.tokenCount;
    this.starts = running(manifest.shards.map(({ tokenCount }) => tokenCount));
    this.documentStarts = running(manifest.shards.map(({ documentCount }) => documentCount));
    this.documentCount = this.documentStarts.at(-1)!;
    this.sources = manifest.shards.map(() => undefined);
    this.ends = manifest.shards.map(() => undefined);
  }

  /** Fills `target` with the tokens from `position` on. Throws FormatError `tokens.range` beyond the end. */
  read(target: Uint32Array, position: number): void {
    if (!(position >= 0 && position + target.length <= this.tokenCount)) {
      throw new FormatError(
        { code: 'tokens.range', file: 'manifest.json', where: `token ${position}` },
        `${target.length} tokens from here end beyond the ${this.tokenCount} there are`,
        'Ask for fewer.',
      );
    }
    let done = 0;
    for (let shard = this.shardOf(position); done < target.length; shard++) {
      const first = position + done - this.starts[shard]!;
      const count = Math.min(target.length - done, this.manifest.shards[shard]!.tokenCount - first);
      this.readWithin(target.subarray(done, done + count), shard, first);
      done += count;
    }
  }

  /** Positions in (from, to] at which a document ends (the position after its last token), ascending. */
  documentEnds(from: number, to: number): number[] {
    const ends: number[] = [];
    for (let shard = this.shardOf(from); shard < this.manifest.shards.length && this.starts[shard]! < to; shard++) {
      const start = this.starts[shard]!;
      const shardEnds = this.endsOf(shard);
      let i = firstAbove(shardEnds, from - start);
      for (; i < shardEnds.length && start + shardEnds[i]! <= to; i++) ends.push(start + shardEnds[i]!);
    }
    return ends;
  }

  /**
   * The positions at which the documents from `first` on begin, and in the end where the last of them ends: `target` has room for one more
   * than there are documents wanted. Nothing of it is kept. Throws FormatError `tokens.ends`.
   */
  readBounds(target: Float64Array, first: number): void {
    let done = 0;
    if (first === 0) target[done++] = 0;
    while (done < target.length) {
      const document = first - 1 + done;
      const shard = lastAtMost(this.documentStarts, document);
      const within = document - this.documentStarts[shard]!;
      const count = Math.min(target.length - done, this.manifest.shards[shard]!.documentCount - within);
      const ends = this.readEnds(shard, within, count);
      for (const end of ends) target[done++] = this.starts[shard]! + end;
    }
  }

  /** Looks whether all files are there, and as long as the manifest says. Throws FormatError `tokens.size`. */
  checkSizes(): void {
    for (const [shard, { endsFile, documentCount }] of this.manifest.shards.entries()) {
      this.openShard(shard).close();
      this.openSized(endsFile, documentCount * 4).close();
    }
  }

  close(): void {
    for (const source of this.sources) source?.close();
    this.sources.fill(undefined);
  }

  private shardOf(position: number): number {
    return lastAtMost(this.starts, position);
  }

  private readWithin(target: Uint32Array, shard: number, first: number): void {
    const source = (this.sources[shard] ??= this.openShard(shard));
    if (this.manifest.dtype === 'u32') {
      source.readInto(new Uint8Array(target.buffer, target.byteOffset, target.byteLength), first * 4);
    } else {
      const narrow = new Uint16Array(target.length);
      source.readInto(new Uint8Array(narrow.buffer), first * 2);
      target.set(narrow);
    }
    const { vocabularySize } = this.manifest;
    for (let i = 0; i < target.length; i++) {
      if (target[i]! < vocabularySize) continue;
      throw new FormatError(
        { code: 'tokens.id', file: this.manifest.shards[shard]!.file, where: `token ${first + i}` },
        `id ${target[i]} is not in the vocabulary of ${vocabularySize}`,
        'The file is damaged; run `cria corpus` again, it rewrites what does not match.',
      );
    }
  }

  private openShard(shard: number): ByteSource {
    const entry = this.manifest.shards[shard]!;
    return this.openSized(entry.file, entry.tokenCount * bytesPerToken(this.manifest.dtype));
  }

  private endsOf(shard: number): Uint32Array {
    return (this.ends[shard] ??= this.readEnds(shard, 0, this.manifest.shards[shard]!.documentCount));
  }

  /** The ends of `count` documents of a shard, within it. */
  private readEnds(shard: number, first: number, count: number): Uint32Array {
    const { endsFile, documentCount, tokenCount } = this.manifest.shards[shard]!;
    const source = this.openSized(endsFile, documentCount * 4);
    const ends = new Uint32Array(count);
    try {
      source.readInto(new Uint8Array(ends.buffer), first * 4);
    } finally {
      source.close();
    }
    for (let i = 0; i < count; i++) {
      const [least, end] = [i === 0 ? 0 : ends[i - 1]!, ends[i]!];
      if (end >= least && end <= tokenCount) continue;
      throw new FormatError(
        { code: 'tokens.ends', file: endsFile, where: `document ${first + i}` },
        `it ends at token ${end}, expected ${least} to ${tokenCount}`,
        'The file is damaged; run `cria corpus` again, it rewrites what does not match.',
      );
    }
    return ends;
  }

  private openSized(file: string, byteCount: number): ByteSource {
    const source = this.open(file);
    if (source.byteLength === byteCount) return source;
    source.close();
    throw new FormatError(
      { code: 'tokens.size', file, where: 'its length' },
      `expected ${byteCount} bytes, found ${source.byteLength}`,
      'The file is incomplete; run `cria corpus` again.',
    );
  }
}

/** 0, and after each of the values the sum so far. */
function running(values: readonly number[]): number[] {
  const sums = [0];
  for (const value of values) sums.push(sums.at(-1)! + value);
  return sums;
}

/** Of running sums, the place of the last that is at most `value`: of equal ones the last that has another behind it. */
function lastAtMost(sums: readonly number[], value: number): number {
  return Math.max(0, Math.min(firstAbove(sums, value), sums.length - 1) - 1);
}

/** Index of the first value above `bound`; values ascend. */
export function firstAbove(values: ArrayLike<number>, bound: number): number {
  let low = 0;
  let high = values.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if (values[middle]! <= bound) low = middle + 1;
    else high = middle;
  }
  return low;
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0;
}

/** Names come from a file: no separators, no climbing out of the folder. */
function isFileName(value: unknown): value is string {
  return typeof value === 'string' && value !== '' && value !== '..' && !/[/\\\0]/.test(value);
}
