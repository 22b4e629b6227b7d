import { assert } from '../../base/assert.ts';
import type { StoredType } from '../../kernels/gemm/stored.webgpu.ts';
import type { WeightType } from '../../tensor/dtype.ts';
import { elementCount, formatShape, type Tensor } from '../../tensor/tensor.ts';
import type { Region } from './memory.ts';

/** f32 numbers on the GPU: an activation, a parameter, a vector of a model. */
export class GpuTensor implements Tensor {
  readonly dtype = 'f32';
  readonly shape: readonly number[];
  readonly region: Region;

  constructor(region: Region, shape: readonly number[]) {
    this.region = region;
    this.shape = shape;
  }
}

/** Rows of a matrix in one buffer: its two planes. */
export interface Piece {
  readonly quants: Region;
  readonly rest: Region;
  readonly firstRow: number;
  readonly rowCount: number;
}

/** A placed matrix, or a stack of them: in as many pieces as the adapter's largest binding makes of it. */
export class GpuMatrix implements Tensor {
  readonly dtype: WeightType;
  readonly shape: readonly number[];
  readonly stored: StoredType;
  readonly pieces: readonly Piece[];
  readonly bytes: number;

  constructor(
    dtype: WeightType,
    shape: readonly number[],
    stored: StoredType,
    pieces: readonly Piece[],
    bytes: number,
  ) {
    this.dtype = dtype;
    this.shape = shape;
    this.stored = stored;
    this.pieces = pieces;
    this.bytes = bytes;
  }
}

export function gpuTensor(tensor: Tensor): GpuTensor {
  if (tensor instanceof GpuTensor) return tensor;
  const isWeight = tensor instanceof GpuMatrix;
  assert(
    !isWeight,
    `webgpu device: a placed weight ${formatShape(tensor.shape)} stands where an activation is expected`,
  );
  throw new TypeError('webgpu device: the tensor belongs to another device');
}

/** A tensor as the right side of a product: a parameter is an f32 matrix of one piece. */
export function gpuMatrix(tensor: Tensor): GpuMatrix {
  if (tensor instanceof GpuMatrix) return tensor;
  const { region, shape } = gpuTensor(tensor);
  const columns = shape.at(-1) ?? 1;
  const rowCount = columns === 0 ? 0 : elementCount(shape) / columns;
  const stored = columns % 4 === 0 ? 'f32' : 'loose';
  return new GpuMatrix(
    'f32',
    shape,
    stored,
    [{ quants: region, rest: region, firstRow: 0, rowCount }],
    rowCount * columns * 4,
  );
}
