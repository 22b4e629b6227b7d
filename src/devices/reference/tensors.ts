import { assert } from '../../base/assert.ts';
import type { BatchStatistics, KvStore } from '../../kernels/ops.ts';
import { elementCount, type Floats, type Tensor } from '../../tensor/tensor.ts';

/** A tensor of the reference device: plain numbers. */
export interface ReferenceTensor extends Tensor {
  readonly data: Floats;
}

export interface ReferenceKvStore extends KvStore {
  /** Per layer, blockCount · blockTokens rows of P numbers, as a cache of this type would give them back. */
  readonly keys: readonly Float64Array[];
  readonly values: readonly Float64Array[];
}

export function referenceTensor(data: Floats, shape: readonly number[]): ReferenceTensor {
  assert(data.length === elementCount(shape), `tensor: ${data.length} numbers for shape [${shape.join(', ')}]`);
  return { dtype: data instanceof Float64Array ? 'f64' : 'f32', shape, data };
}

export function dataOf(tensor: Tensor): Floats {
  assert('data' in tensor, 'reference device: the tensor belongs to another device');
  return (tensor as ReferenceTensor).data;
}

export function runningData({ mean_D, variance_D, ...rest }: BatchStatistics): BatchStatistics<Floats> {
  return { ...rest, mean_D: dataOf(mean_D), variance_D: dataOf(variance_D) };
}
