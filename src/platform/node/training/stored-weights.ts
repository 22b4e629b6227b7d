import { assert } from '../../../base/assert.ts';
import { ConfigError } from '../../../base/errors.ts';
import type { LlamaConfig } from '../../../model/config.ts';
import type { Parameter } from '../../../model/parameters.ts';
import { decodeRow } from '../../../quant/rows.ts';
import { isWeightType, rowBytes } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { columnCount, elementCount, rowCount } from '../../../tensor/tensor.ts';
import { openCheckpointAt } from '../files.ts';

/** A stored weight as numbers, whatever its type. */
export function numbersOf(source: TensorSource): Float32Array {
  const { dtype, shape } = source;
  assert(isWeightType(dtype), `${source.name}: ${dtype} holds no weights`);
  const rows = rowCount(shape);
  const bytes = new Uint8Array(rows * rowBytes(dtype, columnCount(shape)));
  source.readRows(bytes, 0, rows);
  const numbers = new Float32Array(elementCount(shape));
  decodeRow(dtype, bytes, numbers);
  return numbers;
}

/** The weights of a stored model, one parameter at a time, until it is closed. */
export interface StoredWeights {
  numbers(parameter: Parameter): Float32Array;
  close(): void;
}

/**
 * Opens a model whose weights a run begins with. Its shape must be what the run expects; the context may differ.
 * Throws ConfigError `recipe.from` with every difference.
 */
export function openStoredWeights(path: string, wanted: LlamaConfig): StoredWeights {
  const checkpoint = openCheckpointAt(path);
  const { config, tensors } = checkpoint;
  const problems = (Object.keys(wanted) as (keyof LlamaConfig)[]).flatMap((key) => {
    const [mine, theirs] = [JSON.stringify(wanted[key]), JSON.stringify(config[key])];
    return key === 'contextLength' || key === 'family' || mine === theirs
      ? []
      : [`${key} is ${theirs} there, ${mine} in the recipe`];
  });
  if (problems.length > 0) {
    checkpoint.close();
    throw new ConfigError(`model.from ${path}`, problems, 'recipe.from');
  }
  return { numbers: ({ name }) => numbersOf(tensors.get(name)!), close: () => checkpoint.close() };
}
