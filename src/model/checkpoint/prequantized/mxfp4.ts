/**
 * Blocks of MXFP4 as transformers stores gpt-oss: [X, rows, blocks, 16] bytes beside [X, rows, blocks] scales. A byte holds two
 * neighbouring numbers there, the first in its lower half; GGUF's type holds numbers i and i + 16, behind the block's scale.
 */
import { assertRows } from '../../../formats/file-tensor.ts';
import { dtypes, rowBytes } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { columnCount, formatShape } from '../../../tensor/tensor.ts';
import { misfit } from './parts.ts';

const { blockWeights: WEIGHTS, blockBytes: BYTES } = dtypes.MXFP4;
const HALF = WEIGHTS / 2;

export class Mxfp4Rows implements TensorSource {
  readonly name: string;
  readonly dtype = 'MXFP4';
  /** [X, rows, columns] */
  readonly shape: readonly number[];
  private readonly blocks: TensorSource;
  private readonly scales: TensorSource;

  constructor(file: string, blocks: TensorSource, scales: TensorSource) {
    const outer = blocks.shape.slice(0, -1);
    if (blocks.dtype !== 'u8' || blocks.shape.length !== 4 || blocks.shape[3] !== HALF) {
      const found = `${blocks.dtype} ${formatShape(blocks.shape)}`;
      throw misfit(file, blocks.name, `expected u8 of experts × rows × blocks × ${HALF}, found ${found}`);
    }
    if (scales.dtype !== 'u8' || formatShape(scales.shape) !== formatShape(outer)) {
      const found = `${scales.dtype} ${formatShape(scales.shape)}`;
      throw misfit(file, scales.name, `expected u8 ${formatShape(outer)}, a scale a block, found ${found}`);
    }
    this.name = blocks.name;
    this.shape = [...outer.slice(0, 2), outer[2]! * WEIGHTS];
    this.blocks = blocks;
    this.scales = scales;
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    const perRow = rowBytes(this.dtype, columnCount(this.shape)) / BYTES;
    const [first, count] = [firstRow * perRow, rows * perRow];
    const halves = new Uint8Array(count * HALF);
    const scales = new Uint8Array(count);
    this.blocks.readRows(halves, first, count);
    this.scales.readRows(scales, firstRow, rows);
    for (let b = 0; b < count; b++) {
      const at = b * BYTES;
      target[at] = scales[b]!;
      for (let i = 0; i < HALF; i++) {
        const [low, high] = [nibble(halves, b * WEIGHTS + i), nibble(halves, b * WEIGHTS + i + HALF)];
        target[at + 1 + i] = low | (high << 4);
      }
    }
  }
}

/** Number i of a row of halves. */
function nibble(halves: Uint8Array, i: number): number {
  const byte = halves[i >> 1]!;
  return i % 2 === 0 ? byte & 15 : byte >> 4;
}
