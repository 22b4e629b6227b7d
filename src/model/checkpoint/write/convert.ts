/** Tensors in another weight type, converted while they are read. */
import { assert } from '../../../base/assert.ts';
import { assertRows } from '../../../formats/file-tensor.ts';
import type { NamedTensor } from '../../../formats/safetensors-write.ts';
import { decodeRow } from '../../../quant/rows.ts';
import { isWeightType, rowBytes, type WeightType } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { columnCount } from '../../../tensor/tensor.ts';
import type { LlamaConfig } from '../../config.ts';
import { foreignName, isGain, listParameters, type Parameter } from '../../parameters.ts';
import type { Names } from '../../spelling/relative.ts';
import { joinFused } from '../layout/fused.ts';
import { ShiftedVector } from '../layout/row-sources.ts';
import { turned } from '../match.ts';

/** Stores whole rows of a parameter in `bytes`; quantizers may weigh them by what they know of it. */
export type Encode = (
  dtype: WeightType,
  weights: Float32Array,
  bytes: Uint8Array,
  parameter: Parameter,
  firstRow: number,
) => void;

export class ConvertedRows implements TensorSource {
  readonly name: string;
  readonly dtype: WeightType;
  readonly shape: readonly number[];
  private readonly inner: TensorSource;
  private readonly parameter: Parameter;
  private readonly encode: Encode;

  constructor(inner: TensorSource, parameter: Parameter, dtype: WeightType, encode: Encode) {
    this.name = inner.name;
    this.dtype = dtype;
    this.shape = inner.shape;
    this.inner = inner;
    this.parameter = parameter;
    this.encode = encode;
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    const { dtype } = this.inner;
    assert(isWeightType(dtype), `${this.name}: ${dtype} holds no weights`);
    const columns = columnCount(this.shape);
    const stored = new Uint8Array(rows * rowBytes(dtype, columns));
    this.inner.readRows(stored, firstRow, rows);
    const weights = new Float32Array(rows * columns);
    decodeRow(dtype, stored, weights);
    this.encode(this.dtype, weights, target, this.parameter, firstRow);
  }
}

export interface Conversion {
  /** The type that a parameter is written in. */
  readonly typeOf: (parameter: Parameter) => WeightType;
  readonly encode: Encode;
}

/** All parameters under a format's names, in its rotary layout and in the wanted types. */
export function convertTensors(
  config: LlamaConfig,
  tensors: ReadonlyMap<string, TensorSource>,
  form: Form,
  { typeOf, encode }: Conversion,
): NamedTensor[] {
  const { names, own, rotary, gainsFromOne = false } = form;
  const converted = listParameters(config).map((parameter): NamedTensor => {
    const found = tensors.get(parameter.name);
    const source = found && gainsFromOne && isGain(parameter) ? new ShiftedVector(found, -1) : found;
    const name = foreignName(parameter, names, own);
    assert(
      source !== undefined && name !== null,
      `convertTensors: ${parameter.name} has no tensor or no name in ${names}`,
    );
    const dtype = typeOf(parameter);
    const laid = parameter.spec.rotary && rotary === 'halves' ? turned(config, source, 'halves') : source;
    const stored = dtype === source.dtype ? laid : new ConvertedRows(laid, parameter, dtype, encode);
    return [name, parameter.inFile ? inShape(stored, parameter.inFile) : stored];
  });
  return joinFused(converted, config, names, own);
}

/** A vector as the matrix that files store. */
function inShape(vector: TensorSource, shape: readonly number[]): TensorSource {
  const { name, dtype } = vector;
  return {
    name,
    dtype,
    shape,
    readRows(target, first, rows) {
      const whole = new Uint8Array(rowBytes(dtype, vector.shape[0]!));
      vector.readRows(whole, 0, 1);
      const bytes = rowBytes(dtype, columnCount(shape));
      target.set(whole.subarray(first * bytes, (first + rows) * bytes));
    },
  };
}

/** How a format spells a relative's tensors. */
export interface Form {
  readonly names: 'hf' | 'gguf';
  readonly own: Names | undefined;
  readonly rotary: 'pairs' | 'halves';
  readonly gainsFromOne?: boolean | undefined;
}
