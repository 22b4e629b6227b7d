/**
 * A matrix of eight-bit floats (E4M3: sign, 4 bits of exponent with bias 7, 3 of fraction; no infinity, NaN at 0x7f and 0xff) with scales
 * per block, per row or for all of it, as bf16.
 *
 *   w = e4m3 · scale
 *
 * Numbers  The product is rounded to bf16: |error| ≤ 2⁻⁹·|w|, which is a 32nd of the step of the eight bits. Exact where scales are
 *          powers of two. This is what transformers and llama.cpp's converter make of such files, too.
 * Source   OCP 8-bit Floating Point Specification v1.0; DeepSeek-V3, arXiv:2412.19437 §3.3.2; transformers, quantization/finegrained_fp8.
 */
import { f32ToBf16 } from '../../../base/f16.ts';
import { assertRows } from '../../../formats/file-tensor.ts';
import { isWeightType } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { columnCount, elementCount, formatShape, rowCount } from '../../../tensor/tensor.ts';
import { floatsOf, misfit } from './parts.ts';

const E4M3 = Float32Array.from({ length: 256 }, (_, byte) => {
  const exponent = (byte >> 3) & 15;
  const fraction = byte & 7;
  if (exponent === 15 && fraction === 7) return Number.NaN;
  const size = exponent === 0 ? fraction * 2 ** -9 : (1 + fraction / 8) * 2 ** (exponent - 7);
  return byte < 128 ? size : -size;
});

export class Fp8Rows implements TensorSource {
  readonly name: string;
  readonly dtype = 'bf16';
  readonly shape: readonly number[];
  private readonly inner: TensorSource;
  private readonly scales: TensorSource;
  /** Rows and columns that share a scale. */
  private readonly block: readonly [number, number];
  private values: Float32Array | null = null;

  constructor(file: string, inner: TensorSource, scales: TensorSource, block: readonly [number, number] | null) {
    this.name = inner.name;
    this.shape = inner.shape;
    this.inner = inner;
    this.scales = scales;
    const [rows, columns] = [rowCount(inner.shape), columnCount(inner.shape)];
    const count = elementCount(scales.shape);
    const [high, wide] = block ?? (count === 1 ? [rows, columns] : [1, columns]);
    this.block = [high, wide];
    const expected = Math.ceil(rows / high) * Math.ceil(columns / wide);
    if (count !== expected || !isWeightType(scales.dtype)) {
      const found = `${scales.dtype} ${formatShape(scales.shape)}`;
      throw misfit(file, scales.name, `expected ${expected} scales for ${formatShape(inner.shape)}, found ${found}`);
    }
  }

  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    const columns = columnCount(this.shape);
    const [high, wide] = this.block;
    const scalesPerRow = Math.ceil(columns / wide);
    const scales = (this.values ??= floatsOf(this.scales));
    const bytes = new Uint8Array(rows * columns);
    this.inner.readRows(bytes, firstRow, rows);
    for (let row = 0; row < rows; row++) {
      const at = Math.floor((firstRow + row) / high) * scalesPerRow;
      for (let c = 0; c < columns; c++) {
        const i = row * columns + c;
        const bits = f32ToBf16(E4M3[bytes[i]!]! * scales[at + Math.floor(c / wide)]!);
        target[2 * i] = bits & 255;
        target[2 * i + 1] = bits >>> 8;
      }
    }
  }
}
