import { assert } from '../../base/assert.ts';
import type { WeightType } from '../../tensor/dtype.ts';
import { elementCount, type Tensor } from '../../tensor/tensor.ts';
import type { Segment } from './segment.ts';

/** Numbers as f32, row-major, at `pointer`. Activations are pooled: a released one is used again for the next operation. */
export class WasmTensor implements Tensor {
  readonly dtype = 'f32';
  shape: number[] = [];
  segment!: Segment;
  pointer = 0;
  /** Where the segment's arena stood before this tensor. */
  arenaChunk = 0;
  arenaUsed = 0;

  /** What was made from this tensor and lives after it in the arena, for reuse: its int8 form, its copy in another segment, its panels. */
  quantized: WasmTensor | null = null;
  mirror: WasmTensor | null = null;
  packed: WasmTensor | null = null;
  owner: WasmTensor | null = null;
}

/** A matrix in packed panels of 8 rows (kernels/linear/layout.assembly.ts). */
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

export function activation(tensor: Tensor): WasmTensor {
  assert(tensor instanceof WasmTensor, 'wasm device: the tensor is a packed weight or belongs to another device');
  return tensor;
}

/** The tensor's numbers where they lie. */
export function floatsOf(tensor: Tensor): Float32Array {
  const { segment, pointer, shape } = activation(tensor);
  return segment.floatsAt(pointer, elementCount(shape));
}
