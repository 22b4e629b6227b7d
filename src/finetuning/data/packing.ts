/**
 * Which samples share a row. Attention and targets never cross from one to the next, positions restart (MicroBatch.documents), so
 * packing changes only how many samples a step of so many rows holds.
 */
import { assert } from '../../base/assert.ts';

export const packingChoices = ['none', 'best-fit', 'knapsack'] as const;
export type Packing = (typeof packingChoices)[number];

/** Indexes of samples by row. No length may exceed the capacity. */
export function packRows(lengths: ArrayLike<number>, capacity: number, packing: Packing): number[][] {
  for (let i = 0; i < lengths.length; i++) {
    assert(lengths[i]! <= capacity, `packing: sample ${i} of ${lengths[i]} tokens in rows of ${capacity}`);
  }
  if (packing === 'none') return Array.from(lengths, (_, i) => [i]);
  const longestFirst = Array.from(lengths, (_, i) => i).sort((a, b) => lengths[b]! - lengths[a]! || a - b);
  return packing === 'best-fit'
    ? bestFitDecreasing(longestFirst, lengths, capacity)
    : knapsack(longestFirst, lengths, capacity);
}

/** Longest first, each into the fullest row that still has room, of equal ones the first. */
function bestFitDecreasing(order: readonly number[], lengths: ArrayLike<number>, capacity: number): number[][] {
  const rows: number[][] = [];
  /** Rows by the room they have left. */
  const byRoom: number[][] = Array.from({ length: capacity + 1 }, () => []);
  for (const sample of order) {
    const length = lengths[sample]!;
    let room = length;
    while (room <= capacity && byRoom[room]!.length === 0) room++;
    const row = room <= capacity ? takeLeast(byRoom[room]!) : rows.push([]) - 1;
    rows[row]!.push(sample);
    byRoom[Math.min(room, capacity) - length]!.push(row);
  }
  return rows;
}

function takeLeast(values: number[]): number {
  let least = 0;
  for (let i = 1; i < values.length; i++) if (values[i]! < values[least]!) least = i;
  return values.splice(least, 1)[0]!;
}

/** One row after another: the longest that is left, then again and again the longest that still fits. */
function knapsack(order: readonly number[], lengths: ArrayLike<number>, capacity: number): number[][] {
  const byLength: number[][] = Array.from({ length: capacity + 1 }, () => []);
  for (const sample of order) byLength[lengths[sample]!]!.push(sample);
  const rows: number[][] = [];
  for (let left = order.length; left > 0; ) {
    const row: number[] = [];
    let room = capacity;
    for (;;) {
      let length = room;
      while (length > 0 && byLength[length]!.length === 0) length--;
      if (length === 0) break;
      row.push(byLength[length]!.shift()!);
      room -= length;
      left--;
    }
    assert(row.length > 0, 'packing: a sample without tokens');
    rows.push(row);
  }
  return rows;
}
