/**
 * Stacks of experts that lie otherwise in a file: outputs as columns rather than rows, gates and inputs in one tensor, all of the one
 * before the other or in turn. Read and written an expert at a time. Experts of a tensor each: fused.ts.
 */
import { assert } from '../../../base/assert.ts';
import { assertRows } from '../../../formats/file-tensor.ts';
import { type DType, dtypes, rowBytes } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import type { ExpertStack } from '../../spelling/relative.ts';

/** How a file's tensor is laid: X experts, I inputs, P parts of O outputs each. */
export interface StackSizes {
  readonly X: number;
  readonly O: number;
  readonly I: number;
}

/** The file's shape of a stack whose parts are [X, O, I], or of their biases, [X, O]. */
export function stackShape({ parts, outputs }: ExpertStack, { X, O, I }: StackSizes, isBias: boolean): number[] {
  const all = O * parts.length;
  if (isBias) return [X, all];
  return outputs === 'columns' ? [X, I, all] : [X, all, I];
}

/** Where output o of part p is among the outputs of a stack. */
function place({ parts, order }: ExpertStack, O: number, p: number, o: number): number {
  return order === 'in turn' ? o * parts.length + p : p * O + o;
}

/** One part of a file's stack, as [X, O, I], or its biases as [X, O]. */
export class StackPart implements TensorSource {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  private readonly inner: TensorSource;
  private readonly stack: ExpertStack;
  private readonly sizes: StackSizes;
  private readonly part: number;
  private expert = -1;
  private rows = new Uint8Array(0);

  constructor(inner: TensorSource, name: string, stack: ExpertStack, sizes: StackSizes, part: number) {
    const isBias = inner.shape.length === 2;
    assert(stack.outputs === 'rows' || dtypes[inner.dtype].blockWeights === 1, `${inner.name}: columns of blocks`);
    this.name = name;
    this.dtype = inner.dtype;
    this.shape = isBias ? [sizes.X, sizes.O] : [sizes.X, sizes.O, sizes.I];
    this.inner = inner;
    this.stack = stack;
    this.sizes = isBias ? { ...sizes, I: 1 } : sizes;
    this.part = part;
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    const { stack, sizes } = this;
    const { O, I } = sizes;
    if (stack.outputs === 'rows') {
      for (let row = firstRow; row < firstRow + rows; ) {
        const count = Math.min(firstRow + rows - row, O - (row % O));
        this.readRun(target, row - firstRow, Math.floor(row / O), row % O, count);
        row += count;
      }
      return;
    }
    // A bias is read by experts: a row of it is all outputs of one.
    const isBias = this.shape.length === 2;
    const [outputs, bytes] = isBias ? [O, rowBytes(this.dtype, O)] : [1, rowBytes(this.dtype, I)];
    for (let row = firstRow; row < firstRow + rows; row++) {
      const first = row * outputs;
      this.load(Math.floor(first / O));
      const from = (first % O) * rowBytes(this.dtype, I);
      target.set(this.rows.subarray(from, from + bytes), (row - firstRow) * bytes);
    }
  }

  /** Outputs o … o + count − 1 of one expert, whose outputs are rows. */
  private readRun(target: Uint8Array, at: number, expert: number, o: number, count: number): void {
    const { stack, sizes, part } = this;
    const P = stack.parts.length;
    const step = stack.order === 'in turn' ? P : 1;
    const bytes = rowBytes(this.dtype, sizes.I);
    const stored = new Uint8Array(((count - 1) * step + 1) * bytes);
    this.inner.readRows(stored, expert * sizes.O * P + place(stack, sizes.O, part, o), (count - 1) * step + 1);
    for (let i = 0; i < count; i++) {
      target.set(stored.subarray(i * step * bytes, (i * step + 1) * bytes), (at + i) * bytes);
    }
  }

  /** The expert's O × I numbers of this part, out of its I × outputs. */
  private load(expert: number): void {
    if (expert === this.expert) return;
    const { stack, part, dtype } = this;
    const { O, I } = this.sizes;
    const all = O * stack.parts.length;
    const stored = new Uint8Array(rowBytes(dtype, all) * I);
    this.inner.readRows(stored, expert * I, I);
    this.rows = new Uint8Array(rowBytes(dtype, I) * O);
    const item = rowBytes(dtype, 1);
    for (let o = 0; o < O; o++) {
      const column = place(stack, O, part, o);
      for (let i = 0; i < I; i++) copyItem(this.rows, o * I + i, stored, i * all + column, item);
    }
    this.expert = expert;
  }
}

/** The tensor that a file stores parts [X, O, I] as, or their biases [X, O]; `outputs: 'columns'`. */
export class JoinedStack implements TensorSource {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: readonly number[];
  private readonly parts: readonly TensorSource[];
  private readonly stack: ExpertStack;
  private readonly sizes: StackSizes;
  private expert = -1;
  private rows = new Uint8Array(0);

  constructor(parts: readonly TensorSource[], name: string, stack: ExpertStack) {
    const [first] = parts;
    assert(first !== undefined && stack.outputs === 'columns', 'JoinedStack: parts whose outputs become columns');
    assert(
      parts.every((one) => one.dtype === first.dtype && dtypes[one.dtype].blockWeights === 1),
      `JoinedStack: ${name} of several types, or of blocks`,
    );
    const [X, O, I = 1] = first.shape as [number, number, number?];
    this.name = name;
    this.dtype = first.dtype;
    this.shape = stackShape(stack, { X, O, I }, first.shape.length === 2);
    this.parts = parts;
    this.stack = stack;
    this.sizes = { X, O, I };
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    const { I, O } = this.sizes;
    const bytes = rowBytes(this.dtype, O * this.parts.length);
    for (let row = firstRow; row < firstRow + rows; row++) {
      this.load(Math.floor(row / I));
      const from = (row % I) * bytes;
      target.set(this.rows.subarray(from, from + bytes), (row - firstRow) * bytes);
    }
  }

  private load(expert: number): void {
    if (expert === this.expert) return;
    const { I, O } = this.sizes;
    const all = O * this.parts.length;
    const item = rowBytes(this.dtype, 1);
    this.rows = new Uint8Array(all * I * item);
    const stored = new Uint8Array(O * I * item);
    for (const [p, part] of this.parts.entries()) {
      const count = part.shape.length === 2 ? 1 : O;
      part.readRows(stored, expert * count, count);
      for (let o = 0; o < O; o++) {
        const column = place(this.stack, O, p, o);
        for (let i = 0; i < I; i++) copyItem(this.rows, i * all + column, stored, o * I + i, item);
      }
    }
    this.expert = expert;
  }
}

function copyItem(to: Uint8Array, at: number, from: Uint8Array, index: number, item: number): void {
  for (let b = 0; b < item; b++) to[at * item + b] = from[index * item + b]!;
}
