/** An importance matrix as the weights of a quantizer's errors, per parameter of a model. */
import { basename } from 'node:path';
import { CriaError } from '../../../base/errors.ts';
import { type Imatrix, meanSquares, readImatrix } from '../../../evaluation/imatrix.ts';
import type { GgufField } from '../../../formats/gguf-values.ts';
import type { LlamaConfig } from '../../../model/config.ts';
import { foreignName, listParameters, type Parameter } from '../../../model/parameters.ts';
import { columnCount } from '../../../tensor/tensor.ts';
import { openFile } from '../files.ts';

export interface Importance {
  readonly imatrix: Imatrix;
  /** Mean squares of one matrix's columns, or of several matrices' one after the other, by parameter name. */
  readonly byParameter: ReadonlyMap<string, Float32Array>;
}

/** Throws what reading throws; CriaError `imatrix.model` where the file belongs to another model. */
export function loadImportance(path: string, config: LlamaConfig): Importance {
  const source = openFile(path);
  try {
    const imatrix = readImatrix(source);
    const byParameter = new Map<string, Float32Array>();
    for (const parameter of listParameters(config)) {
      const entry = imatrix.entries.get(foreignName(parameter, 'gguf') ?? '');
      if (entry === undefined) continue;
      const columns = columnCount(parameter.shape);
      const matrices = parameter.shape.slice(0, -2).reduce((product, length) => product * length, 1);
      if (entry.sums.length !== columns * matrices) {
        throw new CriaError(
          'imatrix.model',
          `${path}: ${foreignName(parameter, 'gguf')} has ${entry.sums.length} numbers, expected ${columns * matrices}, one per column. It belongs to another model; make one with \`cria imatrix\`.`,
        );
      }
      byParameter.set(parameter.name, meanSquares(entry));
    }
    if (byParameter.size === 0) {
      const some = [...imatrix.entries.keys()].slice(0, 3).join(', ');
      throw new CriaError(
        'imatrix.model',
        `${path}: expected matrices of this model, found none of its ${imatrix.entries.size}: ${some}, … It belongs to another model; make one with \`cria imatrix\`.`,
      );
    }
    return { imatrix, byParameter };
  } finally {
    source.close();
  }
}

/** What a quantized file says of the matrix that steered it, under llama.cpp's keys. */
export function importanceFields(path: string, { datasets, entries, chunks }: Imatrix): Map<string, GgufField> {
  return new Map<string, GgufField>([
    ['quantize.imatrix.file', { type: 'string', value: basename(path) }],
    ['quantize.imatrix.dataset', { type: 'string', value: datasets.join(', ') }],
    ['quantize.imatrix.entries_count', { type: 'u32', value: entries.size }],
    ['quantize.imatrix.chunks_count', { type: 'u32', value: chunks }],
  ]);
}

/** Calls `encode` with runs of whole rows of one matrix, and the importance of their columns. */
export function forEachRow(
  importance: Float32Array,
  { shape }: Parameter,
  firstRow: number,
  rows: number,
  encode: (row: number, importance: Float32Array) => void,
): void {
  const columns = columnCount(shape);
  const rowsOfMatrix = shape.at(-2) ?? 1;
  for (let row = 0; row < rows; row++) {
    const matrix = Math.floor((firstRow + row) / rowsOfMatrix);
    encode(row, importance.subarray(matrix * columns, (matrix + 1) * columns));
  }
}
