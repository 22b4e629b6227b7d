import { assert } from '../../base/assert.ts';
import { elementCount } from '../../tensor/tensor.ts';
import type { Segment } from './segment.ts';
import { WasmTensor } from './tensors.ts';

/** Activations, last in, first out, over all segments. A mark is the number of living tensors. */
export class ActivationArena {
  private readonly living: WasmTensor[] = [];

  mark(): number {
    return this.living.length;
  }

  release(mark: number): void {
    const { living } = this;
    const problem = `release: mark ${mark} is above the ${living.length} living tensors; marks are last in, first out`;
    assert(mark <= living.length, problem);
    while (living.length > mark) {
      const tensor = living.pop()!;
      const { owner, segment } = tensor;
      segment.arena.release(tensor.before);
      if (owner === null) continue;
      if (owner.quantized === tensor) owner.quantized = null;
      if (owner.mirror === tensor) owner.mirror = null;
    }
  }

  /** A new tensor of f32, its numbers not set. */
  tensor(segment: Segment, shape: readonly number[]): WasmTensor {
    return this.push(segment, elementCount(shape) * 4, shape, 'f32');
  }
  doubles(segment: Segment, count: number): WasmTensor {
    return this.push(segment, count * 8, [count], 'f64');
  }
  matrix(segment: Segment, rows: number, columns: number): WasmTensor {
    return this.push(segment, rows * columns * 4, [rows, columns], 'f32');
  }
  like(segment: Segment, { shape }: WasmTensor): WasmTensor {
    return this.tensor(segment, shape);
  }

  /** Bytes for a task's own use, as a tensor whose shape means nothing. */
  scratch(segment: Segment, bytes: number): WasmTensor {
    return this.push(segment, bytes, [bytes], 'f32');
  }

  private push(segment: Segment, bytes: number, shape: readonly number[], dtype: 'f32' | 'f64'): WasmTensor {
    const before = segment.arena.mark();
    const tensor = new WasmTensor(segment, segment.arena.take(bytes), shape, dtype);
    tensor.before = before;
    tensor.order = this.living.length;
    this.living.push(tensor);
    return tensor;
  }

  /** Releases to `mark`, but keeps these activations: their numbers move down to where the mark was. */
  keep(mark: number, tensors: readonly WasmTensor[]): WasmTensor[] {
    this.release(mark);
    const moved: WasmTensor[] = [];
    // In the order in which they were made, each goes to where it was or below: nothing is overwritten before it is moved.
    const order = tensors.map((_, i) => i).sort((a, b) => tensors[a]!.order - tensors[b]!.order);
    for (const i of order) {
      const { segment, pointer, shape, dtype } = tensors[i]!;
      const bytes = elementCount(shape) * (dtype === 'f64' ? 8 : 4);
      const kept = this.push(segment, bytes, shape, dtype);
      segment.copyWithin(kept.pointer, pointer, bytes);
      moved[i] = kept;
    }
    return moved;
  }
}
