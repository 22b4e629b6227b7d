/** llama2.c's version 2 weights: i8 numbers, then one f32 scale per group of neighbours. Handed out as f32, w = scale · q. */
import type { ByteSource, TensorSource } from '../../tensor/source.ts';
import { columnCount, elementCount } from '../../tensor/tensor.ts';
import { assertRows } from '../file-tensor.ts';

export class GroupedInt8Tensor implements TensorSource {
  readonly name: string;
  readonly dtype = 'f32';
  readonly shape: readonly number[];
  private readonly source: ByteSource;
  private readonly byteOffset: number;
  private readonly groupSize: number;

  /** Groups do not cross rows: `groupSize` divides the columns. */
  constructor(source: ByteSource, name: string, shape: readonly number[], byteOffset: number, groupSize: number) {
    this.name = name;
    this.shape = shape;
    this.source = source;
    this.byteOffset = byteOffset;
    this.groupSize = groupSize;
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    const { groupSize } = this;
    const columns = columnCount(this.shape);
    const count = rows * columns;
    const codes = new Int8Array(count);
    this.source.readInto(new Uint8Array(codes.buffer), this.byteOffset + firstRow * columns);
    const scales = new Float32Array(count / groupSize);
    const scalesAt = this.byteOffset + elementCount(this.shape) + ((firstRow * columns) / groupSize) * 4;
    this.source.readInto(new Uint8Array(scales.buffer), scalesAt);
    const weights = new Float32Array(count);
    for (let i = 0; i < count; i++) weights[i] = codes[i]! * scales[Math.floor(i / groupSize)]!;
    target.set(new Uint8Array(weights.buffer));
  }
}
