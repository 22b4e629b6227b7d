import type { Collective } from '../collective.ts';
import type { PreparedBatch } from '../micro-batch.ts';
import type { SmallBatch } from '../run/noise-scale.ts';

/** Over all labels of a step, of all micro-batches and ranks. */
export interface StepLosses {
  /** Before the update, without the penalty of the normalizer. */
  readonly loss: number;
  /** The mean of that penalty, zLoss · (ln Z)²; absent where there is none. */
  readonly zLoss?: number;
  /** The same loss over the labels of each source; absent where sources are not told apart. NaN for a source without labels. */
  readonly sources?: readonly { readonly loss: number; readonly labelCount: number }[];
}

/** What a pass computed: each row's loss and, where there are penalties, those behind them. */
export interface PassLosses {
  readonly prepared: PreparedBatch;
  readonly losses: Float64Array;
}

/** Sums over rows, in their order, then over ranks. Every rank must ask for the same. */
export function meanLosses(
  passes: readonly PassLosses[],
  labelCount: number,
  { hasPenalty, sourceCount }: { readonly hasPenalty: boolean; readonly sourceCount: number },
  collective: Collective,
): StepLosses {
  const sums = new Float64Array(2 + 2 * sourceCount);
  const [bySource, counts] = [sums.subarray(2, 2 + sourceCount), sums.subarray(2 + sourceCount)];
  for (const { prepared, losses } of passes) {
    const rows = prepared.targets_N.length;
    sums[0]! += total(losses.subarray(0, rows));
    if (hasPenalty) sums[1]! += total(losses.subarray(rows));
    if (sourceCount === 0 || prepared.sources === null) continue;
    for (const [i, { firstRow, rowCount }] of prepared.batch.spans.entries()) {
      const source = prepared.sources[i]!;
      bySource[source]! += total(losses.subarray(firstRow, firstRow + rowCount));
      for (let n = firstRow; n < firstRow + rowCount; n++) if (prepared.targets_N[n]! >= 0) counts[source]!++;
    }
  }
  collective.sum(sums);
  const sources = Array.from(bySource, (sum, i) => ({ loss: sum / counts[i]!, labelCount: counts[i]! }));
  return {
    loss: sums[0]! / labelCount,
    ...(hasPenalty && { zLoss: sums[1]! / labelCount }),
    ...(sourceCount > 0 && { sources }),
  };
}

/** The mean over the ranks that have a small batch with labels; null where none has. Every rank must ask. */
export function meanSmallBatch(own: SmallBatch | null, collective: Collective): SmallBatch | null {
  const sums = own && Number.isFinite(own.inverseLabels) ? [own.squares, own.inverseLabels, 1] : [0, 0, 0];
  const all = Float64Array.from(sums);
  collective.sum(all);
  const [squares, inverseLabels, count] = all as unknown as [number, number, number];
  return count === 0 ? null : { squares: squares / count, inverseLabels: inverseLabels / count };
}

function total(values: Float64Array): number {
  let sum = 0;
  for (const value of values) sum += value;
  return sum;
}
