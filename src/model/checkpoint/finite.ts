/** Weights are checked while they are read: a NaN or infinite weight or scale would turn every answer into NaN. */
import { FormatError } from '../../base/errors.ts';
import { assertRows } from '../../formats/file-tensor.ts';
import { firstBadBlock } from '../../quant/rows.ts';
import { dtypes, rowBytes, type WeightType } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { columnCount } from '../../tensor/tensor.ts';

export class FiniteRows implements TensorSource {
  readonly name: string;
  readonly dtype: WeightType;
  readonly shape: readonly number[];
  private readonly inner: TensorSource;
  private readonly file: string;

  constructor(file: string, inner: TensorSource, dtype: WeightType) {
    this.file = file;
    this.name = inner.name;
    this.dtype = dtype;
    this.shape = inner.shape;
    this.inner = inner;
  }

  /** Throws FormatError checkpoint.not-finite for the first weight, or block of weights, that is no number. */
  readRows(target: Uint8Array, firstRow: number, rows: number): void {
    assertRows(this, target, firstRow, rows);
    this.inner.readRows(target, firstRow, rows);
    const bad = firstBadBlock(this.dtype, target);
    if (bad < 0) return;
    const { blockBytes, blockWeights } = dtypes[this.dtype];
    const blocksPerRow = rowBytes(this.dtype, columnCount(this.shape)) / blockBytes;
    const row = firstRow + Math.floor(bad / blocksPerRow);
    const column = (bad % blocksPerRow) * blockWeights;
    const what = blockWeights === 1 ? 'weight' : `scale of the ${this.dtype} block`;
    throw new FormatError(
      { code: 'checkpoint.not-finite', file: this.file, where: `tensor ${this.name}, row ${row}, column ${column}` },
      `expected a finite ${what}, found NaN or infinity`,
      'The weights are damaged; download the file again, or use an earlier checkpoint of the training.',
    );
  }
}
