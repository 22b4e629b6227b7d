/** Brings the tensors of a file together with the parameter table: all there, none too many, each of the right shape and type. */
import { ConfigError } from '../../base/errors.ts';
import { dtypes, isWeightType, weightTypes } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { formatShape } from '../../tensor/tensor.ts';
import { dimensions, type LlamaConfig } from '../config.ts';
import { foreignName, listParameters, type Parameter } from '../parameters.ts';
import { FiniteRows } from './finite.ts';
import { RotaryRows } from './row-sources.ts';

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
  /** Tensors that may be there without being parameters. */
  readonly ignore: (name: string) => boolean;
}

/** Tensors by our names. Throws ConfigError `checkpoint.tensors` with every problem. */
export function matchTensors(matching: Matching): ReadonlyMap<string, TensorSource> {
  const { file, config, names, found, ignore } = matching;
  const problems: string[] = [];
  const tensors = new Map<string, TensorSource>();
  const surplus = new Set(found.keys());
  for (const parameter of listParameters(config)) {
    const foreign = foreignName(parameter, names) ?? parameter.name;
    const tensor = found.get(foreign);
    surplus.delete(foreign);
    const problem = problemOf(parameter, tensor);
    if (problem !== null) problems.push(`${foreign} ${problem}`);
    else tensors.set(parameter.name, adapt(matching, parameter, tensor!));
  }
  for (const name of surplus) {
    if (!ignore(name))
      problems.push(`${name.slice(0, 200)} ${formatShape(found.get(name)!.shape)} is no parameter of this model`);
  }
  if (problems.length > 0) {
    const rest = problems.length - SHOWN_PROBLEMS;
    const shown = rest > 1 ? [...problems.slice(0, SHOWN_PROBLEMS), `… and ${rest} more`] : problems;
    throw new ConfigError(`${file}: the tensors do not fit the configuration`, shown, 'checkpoint.tensors');
  }
  return tensors;
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

function adapt({ file, config, rotary }: Matching, { spec }: Parameter, tensor: TensorSource): TensorSource {
  if (!isWeightType(tensor.dtype)) return tensor;
  const checked = new FiniteRows(file, tensor, tensor.dtype);
  return spec.rotary && rotary === 'halves' && config.positions === 'rope'
    ? new RotaryRows(checked, dimensions(config).E, 'pairs')
    : checked;
}
