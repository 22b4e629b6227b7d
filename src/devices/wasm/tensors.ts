import { assert } from '../../base/assert.ts';
import type { Gradient } from '../../kernels/backward-ops.ts';
import type { HeldNf4 } from '../../quant/nf4.ts';
import type { WeightType } from '../../tensor/dtype.ts';
import { elementCount, type Floats, type Tensor } from '../../tensor/tensor.ts';
import type { Segment } from './segment.ts';

/** Numbers as f32 (losses and sums: f64), row-major, at `pointer`: an activation, a parameter, a vector of weights. */
export class WasmTensor implements Tensor {
  readonly dtype: 'f32' | 'f64';
  readonly shape: readonly number[];
  readonly segment: Segment;
  readonly pointer: number;
  /** Its place among the living activations, and where its segment's arena stood before it. */
  order = -1;
  before = 0;

  /** What was made from this tensor and lives after it in the arena, for reuse: its int8 form, its copy in another segment. */
  quantized: WasmTensor | null = null;
  mirror: WasmTensor | null = null;
  owner: WasmTensor | null = null;

  constructor(segment: Segment, pointer: number, shape: readonly number[], dtype: 'f32' | 'f64' = 'f32') {
    this.dtype = dtype;
    this.shape = shape;
    this.segment = segment;
    this.pointer = pointer;
  }
}

/** A matrix in packed panels of 8 rows (kernels/linear/int8/packing.ts, floats/packing.ts). */
export class WasmMatrix implements Tensor {
  readonly dtype: WeightType;
  readonly shape: readonly number[];
  readonly segment: Segment;
  readonly pointer: number;
  /** PACK_… of kernels/tasks.ts: how it lies here, which may differ from `dtype`. */
  readonly kind: number;
  constructor(dtype: WeightType, shape: readonly number[], segment: Segment, pointer: number, kind: number) {
    this.dtype = dtype;
    this.shape = shape;
    this.segment = segment;
    this.pointer = pointer;
    this.kind = kind;
  }
}

/** A matrix in NF4, outside of WebAssembly's memory: rows are decoded to f32 where a product needs them. */
export class WasmNf4 implements Tensor {
  readonly dtype = 'u8';
  readonly shape: readonly number[];
  readonly held: HeldNf4;
  constructor(shape: readonly number[], held: HeldNf4) {
    this.shape = shape;
    this.held = held;
  }
}

/** A placed matrix of either kind. */
export type FrozenMatrix = WasmMatrix | WasmNf4;

export function isFrozen(tensor: Tensor): tensor is FrozenMatrix {
  return tensor instanceof WasmMatrix || tensor instanceof WasmNf4;
}

/** Matrices of one shape, one for each expert: [X, O, I]. */
export class WasmExperts implements Tensor {
  readonly dtype: WeightType;
  readonly shape: readonly number[];
  readonly segment: Segment;
  readonly experts: readonly WasmMatrix[];
  constructor(dtype: WeightType, shape: readonly number[], segment: Segment, experts: readonly WasmMatrix[]) {
    this.dtype = dtype;
    this.shape = shape;
    this.segment = segment;
    this.experts = experts;
  }
}

export function activation(tensor: Tensor): WasmTensor {
  assert(tensor instanceof WasmTensor, 'wasm device: the tensor is a packed weight or belongs to another device');
  return tensor;
}

/** The tensor's f32 numbers where they lie, until the memory grows. */
export function floatsOf(tensor: Tensor): Float32Array {
  const { segment, pointer, shape } = activation(tensor);
  return segment.floatsAt(pointer, elementCount(shape));
}

/** The tensor's numbers where they lie, of either type. */
export function numbersOf(tensor: Tensor): Floats {
  const { segment, pointer, shape, dtype } = activation(tensor);
  return dtype === 'f64' ? segment.doublesAt(pointer, elementCount(shape)) : floatsOf(tensor);
}

/** The numbers of a gradient to add to; its first use clears it. */
export function cleared(gradient: Gradient): Float32Array {
  const numbers = floatsOf(gradient.tensor);
  if (gradient.isEmpty) numbers.fill(0);
  gradient.isEmpty = false;
  return numbers;
}

/** One matrix of a stack [X, O, I]: of placed experts, or of a parameter or its gradient where they lie. */
export function expertOf(stack: Tensor, expert: number): WasmMatrix | WasmTensor {
  if (stack instanceof WasmExperts) return stack.experts[expert]!;
  const { segment, pointer, shape } = activation(stack);
  const [, O, I] = shape as [number, number, number];
  return new WasmTensor(segment, pointer + expert * O * I * 4, [O, I]);
}
