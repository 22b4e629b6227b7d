import { assert } from '../../base/assert.ts';
import { elementCount } from '../../tensor/tensor.ts';
import type { Segment } from './segment.ts';
import { WasmTensor } from './tensors.ts';

/**
 * Activations, last in, first out, over all segments. The tensors themselves are pooled: the n-th living tensor is always the same
 * object, so that a token's forward pass allocates nothing. A mark is the number of living tensors.
 */
export class ActivationArena {
  private readonly pool: WasmTensor[] = [];
  private live = 0;

  mark(): number {
    return this.live;
  }

  release(mark: number): void {
    assert(
      mark <= this.live,
      `release: mark ${mark} is above the ${this.live} living tensors; marks are last in, first out`,
    );
    while (this.live > mark) this.drop(this.pool[--this.live]!);
  }

  private drop(tensor: WasmTensor): void {
    const { owner, segment } = tensor;
    segment.arenaChunk = tensor.arenaChunk;
    segment.arenaUsed = tensor.arenaUsed;
    if (owner !== null) {
      if (owner.quantized === tensor) owner.quantized = null;
      if (owner.mirror === tensor) owner.mirror = null;
      if (owner.packed === tensor) owner.packed = null;
    }
    tensor.owner = tensor.quantized = tensor.mirror = tensor.packed = null;
  }

  /** A new tensor of f32, its numbers not set. */
  tensor(segment: Segment, shape: readonly number[]): WasmTensor {
    const tensor = this.scratch(segment, elementCount(shape) * 4);
    tensor.shape = [...shape];
    return tensor;
  }
  matrix(segment: Segment, rows: number, columns: number): WasmTensor {
    const tensor = this.scratch(segment, rows * columns * 4);
    if (tensor.shape.length !== 2) tensor.shape = [rows, columns];
    else {
      tensor.shape[0] = rows;
      tensor.shape[1] = columns;
    }
    return tensor;
  }
  like(segment: Segment, { shape }: WasmTensor): WasmTensor {
    return shape.length === 2 ? this.matrix(segment, shape[0]!, shape[1]!) : this.tensor(segment, shape);
  }

  /** Bytes for a task's own use, as a tensor whose shape means nothing. */
  scratch(segment: Segment, bytes: number): WasmTensor {
    let tensor = this.pool[this.live];
    if (tensor === undefined) this.pool.push((tensor = new WasmTensor()));
    tensor.segment = segment;
    tensor.arenaChunk = segment.arenaChunk;
    tensor.arenaUsed = segment.arenaUsed;
    tensor.pointer = segment.take(bytes);
    this.live++;
    return tensor;
  }

  /** Releases to `mark`, but keeps this activation: its numbers move down to where the mark was. */
  releaseKeeping(mark: number, tensor: WasmTensor): WasmTensor {
    const { segment, pointer } = tensor;
    const shape = [...tensor.shape];
    this.release(mark);
    const kept = this.tensor(segment, shape);
    segment.copyWithin(kept.pointer, pointer, elementCount(shape) * 4);
    return kept;
  }
}
