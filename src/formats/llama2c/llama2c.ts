/**
 * llama2.c's model files: a header of seven numbers, then the weights of all blocks, one kind after the other.
 *
 *   version 0   i32 dim, hidden_dim, n_layers, n_heads, n_kv_heads, ±vocab_size (negative: own output layer), seq_len · f32 weights
 *   version 1   "ak42" · i32 1 · the seven numbers · u8 shared output · zeros to byte 256 · f32 weights, the norms first
 *   version 2   "ak42" · i32 2 · the seven numbers · u8 shared output · i32 group size · zeros to byte 256 ·
 *               f32 norms · per tensor: i8 weights, then one f32 scale per group
 *
 * Source  karpathy/llama2.c export.py (legacy_export, version1_export, version2_export). Norms use eps 1e-5, RoPE theta 10000.
 */
import { FormatError } from '../../base/errors.ts';
import type { ByteSource, TensorSource } from '../../tensor/source.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { Cursor } from '../cursor.ts';
import { FileTensor } from '../file-tensor.ts';
import { GroupedInt8Tensor } from './grouped-int8-tensor.ts';

const MAGIC = 0x616b3432; // "ak42" read as a big-endian word
const HEADER_BYTES = { v0: 28, v1: 256 } as const;
/** Bounds on what is believed, well beyond any model of this format. */
const LIMIT = 1 << 24;

export interface Llama2c {
  readonly version: 0 | 1 | 2;
  readonly width: number;
  readonly ffnWidth: number;
  readonly blockCount: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly tiedEmbeddings: boolean;
  /** By Meta's names: tok_embeddings.weight, layers.0.attention.wq.weight, … */
  readonly tensors: ReadonlyMap<string, TensorSource>;
}

type Header = Omit<Llama2c, 'tensors'>;

/** Whether the file can be one of these: by its magic word, or, for version 0, by a header that adds up to the file's length. */
export function isLlama2c(source: ByteSource): boolean {
  if (source.byteLength < HEADER_BYTES.v0) return false;
  if (new Cursor(source).u32() === MAGIC) return true;
  const header = readSizes(new Cursor(source), 0);
  return header !== null && expectedBytes(header) === source.byteLength;
}

/** Reads the header; the tensors stay in the file. Throws FormatError llama2c.* */
export function readLlama2c(source: ByteSource): Llama2c {
  const cursor = new Cursor(source);
  if (!(source.byteLength >= HEADER_BYTES.v0))
    throw bad(source, 'too-short', `expected at least 28 bytes, found ${source.byteLength}`);
  if (cursor.u32() !== MAGIC) return readV0(source);
  if (!(source.byteLength >= HEADER_BYTES.v1))
    throw bad(source, 'too-short', `expected at least 256 bytes, found ${source.byteLength}`);
  const version = cursor.i32();
  if (version !== 1 && version !== 2) throw bad(source, 'version', `expected version 1 or 2, found ${version}`);
  const sizes = readSizes(cursor, version);
  if (sizes === null) throw bad(source, 'sizes', 'expected seven plausible sizes, found others');
  const shared = cursor.u8();
  if (shared > 1) throw bad(source, 'sizes', `expected 0 or 1 for the shared output layer, found ${shared}`);
  const header: Header = { ...sizes, tiedEmbeddings: shared === 1 };
  const groupSize = version === 2 ? cursor.i32() : 0;
  if (version === 2 && !(groupSize >= 1 && header.width % groupSize === 0 && header.ffnWidth % groupSize === 0)) {
    throw bad(
      source,
      'group-size',
      `expected a group size that divides ${header.width} and ${header.ffnWidth}, found ${groupSize}`,
    );
  }
  checkLength(source, header, groupSize);
  return { ...header, tensors: place(source, header, groupSize) };
}

function readV0(source: ByteSource): Llama2c {
  const header = readSizes(new Cursor(source), 0);
  if (header === null) throw bad(source, 'sizes', 'expected seven plausible sizes, found others');
  checkLength(source, header, 0);
  return { ...header, tensors: place(source, header, 0) };
}

/** null when they cannot be the sizes of a model. */
function readSizes(cursor: Cursor, version: 0 | 1 | 2): Header | null {
  const sizes = Array.from({ length: 7 }, () => cursor.i32());
  const [width, ffnWidth, blockCount, headCount, kvHeadCount, vocabulary, contextLength] = sizes as [
    number,
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  const vocabSize = version === 0 ? Math.abs(vocabulary) : vocabulary;
  const counts = [width, ffnWidth, blockCount, headCount, kvHeadCount, vocabSize, contextLength];
  if (!counts.every((count) => count >= 1 && count <= LIMIT)) return null;
  if (blockCount > 4096 || width % headCount !== 0 || headCount % kvHeadCount !== 0) return null;
  return {
    version,
    width,
    ffnWidth,
    blockCount,
    headCount,
    kvHeadCount,
    vocabSize,
    contextLength,
    tiedEmbeddings: vocabulary > 0,
  };
}

/** What the files hold, in their order: Meta's name ({b}: one per block) and shape; null: the RoPE tables of version 0, unused. */
function contents(h: Header): readonly (readonly [name: string | null, shape: readonly number[]])[] {
  const { width: D, ffnWidth: F, vocabSize: V } = h;
  const E = D / h.headCount;
  const P = h.kvHeadCount * E;
  const embedding = ['tok_embeddings.weight', [V, D]] as const;
  const attentionNorm = ['layers.{b}.attention_norm.weight', [D]] as const;
  const ffnNorm = ['layers.{b}.ffn_norm.weight', [D]] as const;
  const norm = ['norm.weight', [D]] as const;
  const attention = [
    ['layers.{b}.attention.wq.weight', [D, D]],
    ['layers.{b}.attention.wk.weight', [P, D]],
    ['layers.{b}.attention.wv.weight', [P, D]],
    ['layers.{b}.attention.wo.weight', [D, D]],
  ] as const;
  const ffn = [
    ['layers.{b}.feed_forward.w1.weight', [F, D]],
    ['layers.{b}.feed_forward.w2.weight', [D, F]],
    ['layers.{b}.feed_forward.w3.weight', [F, D]],
  ] as const;
  const output = h.tiedEmbeddings ? [] : [['output.weight', [V, D]] as const];
  if (h.version > 0) return [attentionNorm, ffnNorm, norm, embedding, ...attention, ...ffn, ...output];
  const tables = [
    [null, [h.contextLength, E / 2]],
    [null, [h.contextLength, E / 2]],
  ] as const; // cos and sin
  return [embedding, attentionNorm, ...attention, ffnNorm, ...ffn, norm, ...tables, ...output];
}

const isNorm = (name: string | null) => name?.endsWith('norm.weight') ?? true;

function tensorBytes(name: string | null, shape: readonly number[], groupSize: number): number {
  const count = elementCount(shape);
  return groupSize > 0 && !isNorm(name) ? count + (count / groupSize) * 4 : count * 4;
}

function expectedBytes(header: Header, groupSize = 0): number {
  let total: number = header.version === 0 ? HEADER_BYTES.v0 : HEADER_BYTES.v1;
  for (const [name, shape] of contents(header)) {
    total += tensorBytes(name, shape, groupSize) * (name?.includes('{b}') ? header.blockCount : 1);
  }
  return total;
}

function checkLength(source: ByteSource, header: Header, groupSize: number): void {
  const expected = expectedBytes(header, groupSize);
  if (expected !== source.byteLength) {
    throw bad(source, 'length', `expected ${expected} bytes for the sizes in its header, found ${source.byteLength}`);
  }
}

function place(source: ByteSource, header: Header, groupSize: number): Map<string, TensorSource> {
  const tensors = new Map<string, TensorSource>();
  let at: number = header.version === 0 ? HEADER_BYTES.v0 : HEADER_BYTES.v1;
  for (const [pattern, shape] of contents(header)) {
    const blocks = pattern?.includes('{b}') ? header.blockCount : 1;
    for (let block = 0; block < blocks; block++) {
      const name = pattern?.replace('{b}', String(block)) ?? null;
      if (name !== null) {
        const grouped = groupSize > 0 && !isNorm(name);
        const tensor = grouped
          ? new GroupedInt8Tensor(source, name, shape, at, groupSize)
          : new FileTensor(source, name, 'f32', shape, at);
        tensors.set(name, tensor);
      }
      at += tensorBytes(pattern, shape, groupSize);
    }
  }
  return tensors;
}

function bad(source: ByteSource, what: string, problem: string): FormatError {
  const place = { code: `llama2c.${what}`, file: source.name, where: 'header' };
  return new FormatError(
    place,
    problem,
    'The file is truncated, or no model of llama2.c; export or download it again.',
  );
}
