/**
 * Places weights: rows are read from their files, laid out as the kernels want them (kernels/gemm/stored.webgpu.ts), and written into
 * buffers. A matrix that is larger than the adapter's largest binding lies in several, cut between rows.
 *
 * Memory   All buffers are made before the first byte is read, where the caller says what will come (prepare): a device that has no room
 *          for a model says so at once.
 */
import { assert } from '../../base/assert.ts';
import { FormatError, UnsupportedError } from '../../base/errors.ts';
import {
  type BlockType,
  layOut,
  layOutNf4,
  planeWords,
  type StoredType,
  storedType,
} from '../../kernels/gemm/stored.webgpu.ts';
import { holdNf4 } from '../../quant/nf4.ts';
import { decodeRow, firstBadBlock, readWeights } from '../../quant/rows.ts';
import { isWeightType, rowBytes, type WeightType } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { columnCount, elementCount, formatShape, rowCount } from '../../tensor/tensor.ts';
import type { Memory } from './memory.ts';
import type { Queue } from './queue.ts';
import { GpuMatrix, GpuTensor, type Piece } from './tensors.ts';

/** Rows are read so many bytes at a time. */
const STAGE_BYTES = 4 * 2 ** 20;
const ALIGNMENT = 256;
const aligned = (bytes: number) => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

export class Weights {
  private readonly memory: Memory;
  private readonly queue: Queue;
  private readonly made = new Map<TensorSource, GpuMatrix>();
  private readonly pieceBytes: number;

  /** `pieceBytes`: a buffer of a matrix at most; null: what the adapter allows. */
  constructor(memory: Memory, queue: Queue, pieceBytes: number | null) {
    this.memory = memory;
    this.queue = queue;
    this.pieceBytes = Math.min(pieceBytes ?? memory.largest, memory.largest);
  }

  /** Makes the buffers that a weight will need. */
  allocate(source: TensorSource): void {
    if (source.shape.length >= 2) this.made.set(source, this.create(source));
  }

  place(source: TensorSource): GpuMatrix | GpuTensor {
    weightType(source);
    if (source.shape.length < 2) {
      const numbers = readWeights(source);
      const region = this.memory.create(numbers.byteLength, 'weights', nameOf(source));
      this.queue.write(region, numbers as Float32Array<ArrayBuffer>);
      return new GpuTensor(region, [...source.shape]);
    }
    const matrix = this.made.get(source) ?? this.create(source);
    this.made.delete(source);
    for (const piece of matrix.pieces) this.fillPiece(source, matrix, piece);
    return matrix;
  }

  /** Doubly quantized, in one buffer for each plane. */
  placeNf4(source: TensorSource): GpuMatrix {
    const { quants, rest } = layOutNf4(holdNf4(readWeights(source)));
    const planes = {
      quants: this.memory.create(quants.byteLength, 'weights', nameOf(source)),
      rest: this.memory.create(rest.byteLength, 'weights', nameOf(source)),
    };
    this.queue.write(planes.quants, quants);
    this.queue.write(planes.rest, rest);
    const piece = { ...planes, firstRow: 0, rowCount: rowCount(source.shape) };
    return new GpuMatrix('f32', [...source.shape], 'nf4', [piece], quants.byteLength + rest.byteLength);
  }

  private create(source: TensorSource): GpuMatrix {
    const dtype = weightType(source);
    const { shape } = source;
    const [rows, columns] = [rowCount(shape), columnCount(shape)];
    assert(
      Number.isInteger(rowBytes(dtype, columns)),
      `${source.name}: rows of ${columns} do not fill blocks of ${dtype}`,
    );
    const stored = storedType(dtype, columns);
    const bytesOf = (count: number) => {
      const { quants, rest } = planeWords(stored, count, columns);
      return rest === 0 ? quants * 4 : aligned(quants * 4) + rest * 4;
    };
    // An even number, so that a piece begins with a pair of blocks.
    const most = Math.floor((this.pieceBytes - ALIGNMENT) / bytesOf(2)) * 2;
    if (rows > 2 && most === 0) {
      throw new UnsupportedError(
        'webgpu.buffer-size',
        `${nameOf(source)}: two rows take ${bytesOf(2)} bytes, expected at most the ${this.pieceBytes} of one buffer. Use device "wasm".`,
      );
    }
    const pieces: Piece[] = [];
    for (let firstRow = 0; firstRow < rows; ) {
      const count = bytesOf(rows - firstRow) <= this.pieceBytes ? rows - firstRow : most;
      const { quants, rest } = planeWords(stored, count, columns);
      const whole = this.memory.create(bytesOf(count), 'weights', nameOf(source));
      const planes =
        rest === 0
          ? { quants: whole, rest: whole }
          : {
              quants: this.memory.region(whole.buffer, 0, quants * 4),
              rest: this.memory.region(whole.buffer, aligned(quants * 4), rest * 4),
            };
      pieces.push({ ...planes, firstRow, rowCount: count });
      firstRow += count;
    }
    return new GpuMatrix(dtype, [...shape], stored, pieces, bytesOf(rows));
  }

  private fillPiece(source: TensorSource, { dtype, stored }: GpuMatrix, piece: Piece): void {
    const columns = columnCount(source.shape);
    const fileRow = rowBytes(dtype, columns);
    const atOnce = Math.max(2, 2 * Math.floor(STAGE_BYTES / (2 * fileRow)));
    for (let first = 0; first < piece.rowCount; first += atOnce) {
      const count = Math.min(atOnce, piece.rowCount - first);
      const file = new Uint8Array(count * fileRow);
      source.readRows(file, piece.firstRow + first, count);
      if (firstBadBlock(dtype, file) >= 0) {
        throw new FormatError(
          { code: 'weights.not-finite', file: source.name, where: formatShape(source.shape) },
          'every weight must be finite, got an infinity or NaN',
          'The file is damaged, or the training run that made it diverged.',
        );
      }
      const at = planeWords(stored, first, columns);
      const size = planeWords(stored, count, columns);
      if (stored === 'f32' || stored === 'loose') {
        const numbers = new Float32Array(count * columns);
        decodeRow(dtype, file, numbers);
        this.queue.write(piece.quants, numbers, at.quants * 4);
        continue;
      }
      const quants = new Uint16Array(size.quants * 2);
      const rest = new Uint16Array(size.rest * 2);
      layOut(stored as BlockType | 'f16' | 'bf16', new Uint16Array(file.buffer), count, columns, quants, rest);
      this.queue.write(piece.quants, quants, at.quants * 4);
      if (rest.length > 0) this.queue.write(piece.rest, rest, at.rest * 4);
    }
  }
}

/** Bytes that a weight takes on a GPU. */
export function storedBytes({ dtype, shape }: Pick<TensorSource, 'dtype' | 'shape'>): number {
  if (shape.length < 2) return elementCount(shape) * 4;
  const { quants, rest } = planeWords(storedType(dtype, columnCount(shape)), rowCount(shape), columnCount(shape));
  return (quants + rest) * 4;
}

/** The kernels' name for how a source will lie, for compiling them ahead. */
export const storedTypeOf = (source: TensorSource): StoredType =>
  storedType(weightType(source), columnCount(source.shape));

const nameOf = (source: TensorSource) => `${source.name} ${formatShape(source.shape)}`;

function weightType(source: TensorSource): WeightType {
  if (isWeightType(source.dtype)) return source.dtype;
  throw new UnsupportedError(
    'webgpu.weight-type',
    `${source.name}: stored as ${source.dtype}, and weights can be f32, f16, bf16 or quantized. Convert the file.`,
  );
}
