/**
 * llama.cpp's importance matrix: for every matrix of a model, the mean square of what each of its columns is multiplied with, as
 * measured over a text. A quantizer weighs the errors of a column by it.
 *
 *   GGUF form  general.type "imatrix", imatrix.datasets, imatrix.chunk_count, imatrix.chunk_size; per matrix two tensors of f32:
 *              NAME.in_sum2 [matrices, columns]  Σ x²          NAME.counts [matrices, 1]  how many rows x were added up
 *   old form   i32 matrices · per matrix: i32 length · name · i32 calls · i32 columns · f32 mean square · calls
 *              then i32 chunks · i32 length · name of the text; some files end before these
 *
 * Names are GGUF's (`blk.0.attn_q.weight`). A tensor of several experts has a row for each.
 * Source  llama.cpp tools/imatrix, common/imatrix-loader.cpp; pull requests 4861 and 9400.
 */
import { FormatError } from '../base/errors.ts';
import { Cursor } from '../formats/cursor.ts';
import { readTensor } from '../formats/file-tensor.ts';
import { GGUF_MAGIC, type Gguf, readGguf } from '../formats/gguf.ts';
import type { GgufField } from '../formats/gguf-values.ts';
import { writeGguf } from '../formats/gguf-write.ts';
import { show } from '../formats/json.ts';
import type { NamedTensor } from '../formats/safetensors-write.ts';
import type { Sink } from '../formats/sink.ts';
import type { ByteSource } from '../tensor/source.ts';
import { columnCount } from '../tensor/tensor.ts';

export interface ImatrixEntry {
  /** Σ x² per column: of one matrix, or of several one after the other. */
  readonly sums: Float32Array;
  /** Rows that were added up, per matrix. */
  readonly counts: Float32Array;
}

export interface Imatrix {
  /** By GGUF name. */
  readonly entries: ReadonlyMap<string, ImatrixEntry>;
  readonly datasets: readonly string[];
  readonly chunks: number;
  /** Tokens of a chunk; 0: not known. */
  readonly chunkTokens: number;
}

const LIMITS = { entries: 1 << 17, nameBytes: 1 << 10 } as const;

/** Mean squares, per column and matrix. A matrix that no row has met counts all columns alike. */
export function meanSquares({ sums, counts }: ImatrixEntry): Float32Array {
  const columns = sums.length / counts.length;
  return sums.map((sum, i) => {
    const count = counts[Math.floor(i / columns)]!;
    return count > 0 ? sum / count : 1;
  });
}

/** Either form. Throws FormatError imatrix.*, gguf.*, bytes.truncated. */
export function readImatrix(source: ByteSource): Imatrix {
  const isGguf = source.byteLength >= 4 && new Cursor(source).u32() === GGUF_MAGIC;
  const imatrix = isGguf ? fromGguf(source, readGguf(source)) : fromOldForm(source);
  for (const [name, { sums, counts }] of imatrix.entries) {
    for (const numbers of [sums, counts]) {
      const bad = numbers.findIndex((value) => !(value >= 0 && value < Number.POSITIVE_INFINITY));
      if (bad >= 0) {
        throw refused(source, 'number', show(name), `expected numbers of at least 0, found ${numbers[bad]} at ${bad}`);
      }
    }
  }
  return imatrix;
}

function fromGguf(source: ByteSource, { fields, tensors }: Gguf): Imatrix {
  const type = fields.get('general.type')?.value;
  if (type !== 'imatrix') {
    throw refused(
      source,
      'kind',
      'general.type',
      `expected imatrix, found ${show(type)}`,
      'This is a GGUF file of another kind; importance matrices are made by `cria imatrix`.',
    );
  }
  const entries = new Map<string, ImatrixEntry>();
  for (const [name, tensor] of tensors) {
    const owner = /^(.*)\.in_sum2$/.exec(name)?.[1];
    if (owner === undefined) continue;
    const counts = tensors.get(`${owner}.counts`);
    const matrices = tensor.shape.slice(0, -1).reduce((product, length) => product * length, 1);
    const counted = counts?.shape.reduce((product, length) => product * length, 1);
    if (counts === undefined || counted !== matrices || tensor.dtype !== 'f32' || counts.dtype !== 'f32') {
      throw refused(
        source,
        'tensor',
        show(name),
        `expected f32 beside ${matrices} f32 named ${show(`${owner}.counts`)}`,
      );
    }
    entries.set(owner, { sums: floatsOf(readTensor(tensor)), counts: floatsOf(readTensor(counts)) });
  }
  const number = (key: string) => {
    const value = fields.get(`imatrix.${key}`)?.value;
    return typeof value === 'number' ? value : 0;
  };
  const datasets = fields.get('imatrix.datasets')?.value;
  return {
    entries,
    datasets: Array.isArray(datasets) ? datasets.filter((name) => typeof name === 'string') : [],
    chunks: number('chunk_count'),
    chunkTokens: number('chunk_size'),
  };
}

function floatsOf(bytes: Uint8Array<ArrayBuffer>): Float32Array {
  return new Float32Array(bytes.buffer);
}

function fromOldForm(source: ByteSource): Imatrix {
  const cursor = new Cursor(source);
  const count = source.byteLength >= 4 ? cursor.i32() : 0;
  if (!(count > 0 && count <= LIMITS.entries)) {
    throw refused(
      source,
      'kind',
      'byte 0',
      `expected GGUF, or the number of matrices of an old importance matrix, found ${count}`,
      'Is this an importance matrix? `cria imatrix` makes one.',
    );
  }
  const entries = new Map<string, ImatrixEntry>();
  for (let i = 0; i < count; i++) {
    const at = cursor.offset;
    const length = cursor.i32();
    if (!(length > 0 && length <= LIMITS.nameBytes)) {
      throw refused(source, 'name', `byte ${at}`, `expected a name of 1 to ${LIMITS.nameBytes} bytes, found ${length}`);
    }
    const name = cursor.text(length, `the name of matrix ${i}`);
    const calls = cursor.i32();
    const columns = cursor.i32();
    if (!(calls >= 0 && columns > 0)) {
      throw refused(source, 'count', show(name), `expected calls and columns, found ${calls} and ${columns}`);
    }
    const sums = floatsOf(cursor.bytes(columns * 4));
    entries.set(name, { sums, counts: Float32Array.of(calls) });
  }
  let chunks = 0;
  const datasets: string[] = [];
  if (cursor.bytesLeft >= 8) {
    chunks = cursor.i32();
    const length = cursor.i32();
    if (length > 0) datasets.push(cursor.text(length, 'the name of the text'));
  }
  return { entries, datasets, chunks, chunkTokens: 0 };
}

/** The GGUF form, entries in the order of their names. */
export function writeImatrix(sink: Sink, { entries, datasets, chunks, chunkTokens }: Imatrix): void {
  const fields = new Map<string, GgufField>([
    ['general.type', { type: 'string', value: 'imatrix' }],
    ['imatrix.datasets', { type: 'array', value: [...datasets] }],
    ['imatrix.chunk_count', { type: 'u32', value: chunks }],
    ['imatrix.chunk_size', { type: 'u32', value: chunkTokens }],
  ]);
  const tensors = sorted(entries).flatMap(([name, { sums, counts }]) => [
    tensorOf(`${name}.in_sum2`, sums, [counts.length, sums.length / counts.length]),
    tensorOf(`${name}.counts`, counts, [counts.length, 1]),
  ]);
  writeGguf(sink, fields, tensors);
}

/** The old form, which older programs read. */
export function writeOldImatrix(sink: Sink, imatrix: Imatrix): void {
  const utf8 = new TextEncoder();
  const i32 = (...values: number[]) => sink.write(new Uint8Array(Int32Array.from(values).buffer));
  const text = (value: string) => {
    const bytes = utf8.encode(value);
    i32(bytes.length);
    sink.write(bytes);
  };
  i32(imatrix.entries.size);
  for (const [name, entry] of sorted(imatrix.entries)) {
    const calls = Math.max(1, imatrix.chunks);
    const scaled = meanSquares(entry).map((mean) => mean * calls);
    text(name);
    i32(calls, scaled.length);
    sink.write(new Uint8Array(scaled.buffer));
  }
  i32(imatrix.chunks);
  text(imatrix.datasets[0] ?? '');
}

function sorted(entries: Imatrix['entries']): [string, ImatrixEntry][] {
  return [...entries].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function tensorOf(name: string, numbers: Float32Array, shape: readonly number[]): NamedTensor {
  const readRows = (target: Uint8Array, firstRow: number, rows: number) => {
    const columns = columnCount(shape);
    const part = numbers.slice(firstRow * columns, (firstRow + rows) * columns);
    target.set(new Uint8Array(part.buffer));
  };
  return [name, { name, dtype: 'f32', shape, readRows }];
}

// biome-ignore format: one line of parameters
function refused(source: ByteSource, what: string, where: string, problem: string, advice = 'The file is damaged; make it again.'): FormatError {
  return new FormatError({ code: `imatrix.${what}`, file: source.name, where }, problem, advice);
}
