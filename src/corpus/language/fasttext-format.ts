/**
 * fastText model files, `.bin` and quantized `.ftz`, format version 12 (and 11).
 *
 *   i32 magic · i32 version · arguments · dictionary · u8 quantized? · input matrix · u8 output quantized? · output matrix
 *   arguments    i32 dim ws epoch minCount neg wordNgrams loss model bucket minn maxn lrUpdateRate · f64 t
 *   dictionary   i32 entries words labels · i64 tokens pruned · entries (text 0 · i64 count · i8 type) · pruned × (i32 from · i32 to)
 *   matrix       dense: i64 rows columns · f32…
 *                quantized: u8 norm? · i64 rows columns · i32 codes · u8… · quantizer · [u8 norm codes · norm quantizer]
 *   quantizer    i32 dim parts partSize lastPartSize · f32 centroids (256 per part)
 *
 * Source: Joulin et al. 2016, arXiv:1612.03651 (quantization); fastText's dictionary, matrix and product-quantizer files.
 */
import { FormatError } from '../../base/errors.ts';
import { ByteCursor, ByteWriter } from './byte-cursor.ts';

export const FASTTEXT_MAGIC = 793_712_314;
const VERSION = 12;
const CENTROIDS = 256;

export const lossNames = { 1: 'hierarchical', 2: 'negative', 3: 'softmax', 4: 'ova' } as const;
export type LossCode = keyof typeof lossNames;

export interface FastTextArguments {
  readonly dim: number;
  readonly ws: number;
  readonly epoch: number;
  readonly minCount: number;
  readonly neg: number;
  readonly wordNgrams: number;
  readonly loss: LossCode;
  /** 1 cbow · 2 skip-gram · 3 supervised */
  readonly model: number;
  readonly bucket: number;
  readonly minn: number;
  readonly maxn: number;
  readonly lrUpdateRate: number;
  readonly t: number;
}

export interface DictionaryEntry {
  readonly text: string;
  readonly count: number;
}

/** Rows of numbers that can be added to a vector and multiplied with one, dense or product-quantized. */
export type FastTextMatrix = DenseMatrix | QuantizedMatrix;

export interface DenseMatrix {
  readonly kind: 'dense';
  readonly rows: number;
  readonly columns: number;
  readonly values: Float32Array;
}

/** Each row is `parts` codes, each naming one of 256 centroids of its part; an optional code for the row's length. */
export interface QuantizedMatrix {
  readonly kind: 'quantized';
  readonly rows: number;
  readonly columns: number;
  readonly codes: Uint8Array;
  readonly quantizer: Quantizer;
  readonly normCodes?: Uint8Array;
  readonly normQuantizer?: Quantizer;
}

export interface Quantizer {
  readonly parts: number;
  readonly partSize: number;
  readonly lastPartSize: number;
  readonly centroids: Float32Array;
}

export interface FastTextFile {
  readonly args: FastTextArguments;
  readonly words: readonly DictionaryEntry[];
  readonly labels: readonly DictionaryEntry[];
  readonly tokenCount: number;
  /** n-gram bucket → row, for pruned models; undefined when every bucket has its row. */
  readonly pruned: ReadonlyMap<number, number> | undefined;
  readonly input: FastTextMatrix;
  readonly output: FastTextMatrix;
}

/** Visits the numbers of a product-quantized row: norm · centroid[part][code]. */
export function eachQuantized(matrix: QuantizedMatrix, row: number, visit: (d: number, value: number) => void): void {
  const { parts, partSize, lastPartSize, centroids } = matrix.quantizer;
  const norm = matrix.normCodes ? matrix.normQuantizer!.centroids[matrix.normCodes[row]!]! : 1;
  for (let part = 0; part < parts; part++) {
    const code = matrix.codes[row * parts + part]!;
    const isLast = part === parts - 1;
    const size = isLast ? lastPartSize : partSize;
    const start = isLast ? part * CENTROIDS * partSize + code * lastPartSize : (part * CENTROIDS + code) * partSize;
    for (let n = 0; n < size; n++) visit(part * partSize + n, norm * centroids[start + n]!);
  }
}

/** The matrix with its rows spelled out, when they are at most `limit` numbers. */
export function dense(matrix: FastTextMatrix, limit: number): FastTextMatrix {
  if (matrix.kind === 'dense' || matrix.rows * matrix.columns > limit) return matrix;
  const { rows, columns } = matrix;
  const values = new Float32Array(rows * columns);
  for (let row = 0; row < rows; row++) eachQuantized(matrix, row, (d, value) => (values[row * columns + d] = value));
  return { kind: 'dense', rows, columns, values };
}

/** Throws FormatError `fasttext.*`; every length is checked against the file before anything is allocated. */
export function parseFastText(bytes: Uint8Array, file: string): FastTextFile {
  const cursor = new ByteCursor(bytes, file, 'fasttext');
  const magic = cursor.i32();
  if (magic !== FASTTEXT_MAGIC)
    cursor.fail('bad-magic', `magic is ${magic}, not ${FASTTEXT_MAGIC}`, 'Is this a fastText .bin or .ftz file?');
  const version = cursor.i32();
  if (version !== 11 && version !== VERSION)
    cursor.fail('version', `version ${version} is not known`, 'Versions 11 and 12 are read.');
  const stored = readArguments(cursor);
  const args = version === 11 && stored.model === 3 ? { ...stored, maxn: 0 } : stored;
  const { words, labels, tokenCount, pruned } = readDictionary(cursor);
  const quantized = cursor.u8() !== 0;
  const input = readMatrix(cursor, quantized);
  const outputQuantized = cursor.u8() !== 0;
  const output = readMatrix(cursor, quantized && outputQuantized);
  if (args.dim !== input.columns || args.dim !== output.columns) {
    cursor.fail(
      'shape',
      `matrices have ${input.columns} and ${output.columns} columns, dim is ${args.dim}`,
      'The file is damaged.',
    );
  }
  const gramRows = args.maxn > 0 || args.wordNgrams > 1 ? (pruned ? pruned.size : args.bucket) : 0;
  if (input.rows < words.length + gramRows) {
    cursor.fail(
      'shape',
      `${input.rows} input rows for ${words.length} words and ${gramRows} n-grams`,
      'The file is damaged.',
    );
  }
  return { args, words, labels, tokenCount, pruned, input, output };
}

function readArguments(cursor: ByteCursor): FastTextArguments {
  const [dim, ws, epoch, minCount, neg, wordNgrams, loss, model, bucket, minn, maxn, lrUpdateRate] = Array.from(
    { length: 12 },
    () => cursor.i32(),
  ) as [number, number, number, number, number, number, number, number, number, number, number, number];
  if (!(dim > 0 && dim <= 1 << 16)) cursor.fail('dim', `dim is ${dim}`, 'The file is damaged.');
  if (!(loss >= 1 && loss <= 4)) cursor.fail('loss', `loss ${loss} is not known`, 'The file is damaged.');
  if (!(bucket >= 0)) cursor.fail('bucket', `bucket is ${bucket}`, 'The file is damaged.');
  const t = cursor.f64();
  return {
    dim,
    ws,
    epoch,
    minCount,
    neg,
    wordNgrams,
    loss: loss as LossCode,
    model,
    bucket,
    minn,
    maxn,
    lrUpdateRate,
    t,
  };
}

function readDictionary(cursor: ByteCursor) {
  const size = cursor.i32();
  const wordCount = cursor.i32();
  const labelCount = cursor.i32();
  const tokenCount = cursor.i64();
  const prunedCount = cursor.i64();
  if (!(wordCount >= 0 && labelCount >= 0 && size === wordCount + labelCount)) {
    cursor.fail(
      'dictionary',
      `${size} entries for ${wordCount} words and ${labelCount} labels`,
      'The file is damaged.',
    );
  }
  cursor.expect(size, 10);
  const words: DictionaryEntry[] = [];
  const labels: DictionaryEntry[] = [];
  for (let i = 0; i < size; i++) {
    const text = cursor.zeroTerminated();
    const count = cursor.i64();
    const isLabel = cursor.u8() === 1;
    (isLabel ? labels : words).push({ text, count });
  }
  if (words.length !== wordCount)
    cursor.fail('dictionary', `${words.length} words, header says ${wordCount}`, 'The file is damaged.');
  let pruned: Map<number, number> | undefined;
  if (prunedCount >= 0) {
    cursor.expect(prunedCount, 8);
    pruned = new Map();
    for (let i = 0; i < prunedCount; i++) pruned.set(cursor.i32(), cursor.i32());
  }
  return { words, labels, tokenCount, pruned };
}

function readMatrix(cursor: ByteCursor, quantized: boolean): FastTextMatrix {
  const hasNorms = quantized && cursor.u8() !== 0;
  const rows = cursor.i64();
  const columns = cursor.i64();
  if (!(rows >= 0 && columns > 0)) cursor.fail('matrix', `a matrix of ${rows} × ${columns}`, 'The file is damaged.');
  if (!quantized) return { kind: 'dense', rows, columns, values: cursor.f32s(rows * columns) };
  const codeCount = cursor.i32();
  const codes = cursor.bytes(codeCount);
  const quantizer = readQuantizer(cursor, columns);
  if (codeCount !== rows * quantizer.parts) {
    cursor.fail('matrix', `${codeCount} codes for ${rows} rows of ${quantizer.parts} parts`, 'The file is damaged.');
  }
  if (!hasNorms) return { kind: 'quantized', rows, columns, codes, quantizer };
  const normCodes = cursor.bytes(rows);
  return { kind: 'quantized', rows, columns, codes, quantizer, normCodes, normQuantizer: readQuantizer(cursor, 1) };
}

function readQuantizer(cursor: ByteCursor, columns: number): Quantizer {
  const dim = cursor.i32();
  const parts = cursor.i32();
  const partSize = cursor.i32();
  const lastPartSize = cursor.i32();
  if (
    !(dim === columns && parts > 0 && partSize > 0 && lastPartSize > 0 && (parts - 1) * partSize + lastPartSize === dim)
  ) {
    cursor.fail(
      'quantizer',
      `${parts} parts of ${partSize} (last ${lastPartSize}) for ${columns} columns`,
      'The file is damaged.',
    );
  }
  return { parts, partSize, lastPartSize, centroids: cursor.f32s(dim * CENTROIDS) };
}

/** The model as a `.bin` file of version 12. Dense matrices only: quantizing is fastText's, reading quantized models is ours. */
export function encodeFastText(model: FastTextFile): Uint8Array {
  const { args, words, labels, input, output } = model;
  if (input.kind !== 'dense' || output.kind !== 'dense' || model.pruned) {
    throw new FormatError(
      { code: 'fasttext.quantized', file: 'model', where: 'matrices' },
      'quantized models are not written',
      'Keep the file it came from.',
    );
  }
  const writer = new ByteWriter();
  for (const value of [
    FASTTEXT_MAGIC,
    VERSION,
    args.dim,
    args.ws,
    args.epoch,
    args.minCount,
    args.neg,
    args.wordNgrams,
  ])
    writer.i32(value);
  for (const value of [args.loss, args.model, args.bucket, args.minn, args.maxn, args.lrUpdateRate]) writer.i32(value);
  writer.f64(args.t);
  for (const value of [words.length + labels.length, words.length, labels.length]) writer.i32(value);
  writer.i64(model.tokenCount);
  writer.i64(-1);
  for (const [type, entries] of [
    [0, words],
    [1, labels],
  ] as const) {
    for (const { text, count } of entries) {
      writer.zeroTerminated(text);
      writer.i64(count);
      writer.u8(type);
    }
  }
  for (const matrix of [input, output]) {
    writer.u8(0);
    writer.i64(matrix.rows);
    writer.i64(matrix.columns);
    writer.f32s(matrix.values);
  }
  return writer.finish();
}
