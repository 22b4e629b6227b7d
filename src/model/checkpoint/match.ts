/** Brings the tensors of a file together with the parameter table: all there, none too many, each of the right shape and type. */
import { assert } from '../../base/assert.ts';
import { ConfigError } from '../../base/errors.ts';
import { dtypes, isWeightType, weightTypes } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { elementCount, formatShape, rowCount } from '../../tensor/tensor.ts';
import type { LlamaConfig } from '../config.ts';
import { foreignName, isGain, listParameters, type Parameter } from '../parameters.ts';
import type { Names } from '../spelling/relative.ts';
import { FiniteRows } from './finite.ts';
import { splitFused } from './layout/fused.ts';
import { nameIn } from './layout/names-in-file.ts';
import { type RotaryLayout, RotaryRows, ShiftedVector } from './layout/row-sources.ts';

const SHOWN_PROBLEMS = 20;

export interface Matching {
  /** For messages. */
  readonly file: string;
  readonly config: LlamaConfig;
  /** Whose names the tensors carry. */
  readonly names: 'hf' | 'gguf' | 'meta';
  /** How the rows of queries and keys are stored. */
  readonly rotary: 'pairs' | 'halves';
  readonly found: ReadonlyMap<string, TensorSource>;
  /** Where the relative's names are not those of the parameter table. */
  readonly own?: Names | undefined;
  /** Gains of RMSNorm are stored less one. */
  readonly gainsFromOne?: boolean | undefined;
  /** Tensors that may be there without being parameters. */
  readonly ignore: (name: string) => boolean;
}

/** Tensors by our names. Throws ConfigError `checkpoint.tensors` with every problem. */
export function matchTensors(matching: Matching): ReadonlyMap<string, TensorSource> {
  const { file, config, names, own, ignore } = matching;
  const found = names === 'meta' ? matching.found : splitFused(matching.found, config, names, own);
  const problems: string[] = [];
  const tensors = new Map<string, TensorSource>();
  const surplus = new Set(found.keys());
  for (const parameter of listParameters(config)) {
    const foreign = nameIn(found, foreignName(parameter, names, own) ?? parameter.name);
    const stored = found.get(foreign);
    const tensor = stored && asVector(stored, parameter);
    surplus.delete(foreign);
    const problem = problemOf(parameter, tensor);
    if (problem !== null) problems.push(`${foreign} ${problem}`);
    else tensors.set(parameter.name, adapt(matching, parameter, tensor!));
  }
  for (const name of surplus) {
    if (!ignore(name) && elementCount(found.get(name)!.shape) > 0)
      problems.push(`${name.slice(0, 200)} ${formatShape(found.get(name)!.shape)} is no parameter of this model`);
  }
  if (problems.length > 0) {
    const rest = problems.length - SHOWN_PROBLEMS;
    const shown = rest > 1 ? [...problems.slice(0, SHOWN_PROBLEMS), `… and ${rest} more`] : problems;
    throw new ConfigError(`${file}: the tensors do not fit the configuration`, shown, 'checkpoint.tensors');
  }
  return tensors;
}

/** A vector that a file stores as a matrix (of one row, of one column, of a row an expert) is that vector: its numbers lie in the same order. */
function asVector(tensor: TensorSource, { shape, inFile }: Parameter): TensorSource {
  const [length] = shape;
  const isOneLine =
    tensor.shape.every((count) => count === 1 || count === length) ||
    (inFile !== undefined && formatShape(tensor.shape) === formatShape(inFile));
  if (shape.length !== 1 || !isOneLine || elementCount(tensor.shape) !== length) return tensor;
  if (dtypes[tensor.dtype].blockWeights > 1) return tensor;
  const { name, dtype } = tensor;
  return {
    name,
    dtype,
    shape,
    readRows(target, firstRow, rows) {
      assert(firstRow + rows <= 1, `${name}: rows ${firstRow}…${firstRow + rows} of 1`);
      if (rows === 1) tensor.readRows(target, 0, rowCount(tensor.shape));
    },
  };
}

function problemOf({ shape }: Parameter, tensor: TensorSource | undefined): string | null {
  if (tensor === undefined) return `${formatShape(shape)} is missing`;
  if (formatShape(tensor.shape) !== formatShape(shape)) {
    return `is ${formatShape(tensor.shape)}, expected ${formatShape(shape)}`;
  }
  if (!isWeightType(tensor.dtype)) return `is ${tensor.dtype}, expected one of ${weightTypes.join(' ')}`;
  if (shape.length === 1 && dtypes[tensor.dtype].blockWeights > 1)
    return `is ${tensor.dtype}, expected f32, f16 or bf16`;
  return null;
}

function adapt(
  { file, config, rotary, gainsFromOne }: Matching,
  parameter: Parameter,
  tensor: TensorSource,
): TensorSource {
  if (!isWeightType(tensor.dtype)) return tensor;
  const checked = new FiniteRows(file, tensor, tensor.dtype);
  const shifted = gainsFromOne && isGain(parameter) ? new ShiftedVector(checked, 1) : checked;
  return parameter.spec.rotary && rotary === 'halves' ? turned(config, shifted, 'pairs') : shifted;
}

/** Rows of queries or keys in another layout. */
export function turned(config: LlamaConfig, tensor: TensorSource, to: RotaryLayout): TensorSource {
  if (config.positions !== 'rope') return tensor;
  return new RotaryRows(tensor, config.headSize, to, config.rotatedSize ?? config.headSize);
}
