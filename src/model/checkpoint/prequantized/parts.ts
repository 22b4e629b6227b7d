/** What the readers of packed weights share. */
import { FormatError } from '../../../base/errors.ts';
import { readTensor } from '../../../formats/file-tensor.ts';
import { decodeRow } from '../../../quant/rows.ts';
import { isWeightType } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { elementCount } from '../../../tensor/tensor.ts';

/** All numbers of a small tensor of floats. */
export function floatsOf(source: TensorSource): Float32Array {
  const numbers = new Float32Array(elementCount(source.shape));
  if (isWeightType(source.dtype)) decodeRow(source.dtype, readTensor(source), numbers);
  return numbers;
}

export function misfit(file: string, name: string, problem: string): FormatError {
  return new FormatError(
    { code: 'prequantized.parts', file, where: `tensor ${name}` },
    problem,
    'The folder is incomplete, or its config.json belongs to another model; download it again.',
  );
}
