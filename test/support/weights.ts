/** Numbers of tensor sources, for comparing checkpoints. */
import { readTensor } from '../../src/formats/file-tensor.ts';
import { decodeRow } from '../../src/quant/rows.ts';
import { isWeightType } from '../../src/tensor/dtype.ts';
import type { TensorSource } from '../../src/tensor/source.ts';
import { elementCount } from '../../src/tensor/tensor.ts';

/** All weights of a tensor as f32. */
export function weightsOf(tensor: TensorSource): Float32Array {
  if (!isWeightType(tensor.dtype)) throw new Error(`${tensor.name} is ${tensor.dtype}`);
  const weights = new Float32Array(elementCount(tensor.shape));
  decodeRow(tensor.dtype, readTensor(tensor), weights);
  return weights;
}
