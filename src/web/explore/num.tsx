/** Every number of the page is printed here, and carries the name of the activation that it is. */

import { formatCount, formatNumber, formatShare, lengthOf } from '../../explorer/numbers.ts';
import type { Trace } from '../../inference/observe.ts';

/** How a number is made of the activation: itself, as a share, or the length of its row. */
export type NumberForm = 'number' | 'share' | 'length';

/** A number of an activation: `at` is its place in the whole activation (not in the slice). */
export function Num({
  name,
  at,
  value,
  form = 'number',
}: {
  name: string;
  at: readonly number[];
  value: number;
  form?: NumberForm;
}) {
  return (
    <span class="num" data-name={name} data-at={at.join(',')} data-form={form}>
      {form === 'share' ? formatShare(value) : formatNumber(value)}
    </span>
  );
}

/** A number that a formula of the page makes of activations; `by` says which. */
export function Made({ by, value, form = 'number' }: { by: string; value: number; form?: 'number' | 'share' }) {
  return (
    <span class="num" data-made={by} title={by}>
      {form === 'share' ? formatShare(value) : formatNumber(value)}
    </span>
  );
}

/** Ids, sizes and other whole numbers. */
export function Count({ value }: { value: number }) {
  return (
    <span class="num" data-count="">
      {formatCount(value)}
    </span>
  );
}

/** One row of a traced activation. */
export function rowOf({ shape, data }: Trace, row: number): Float32Array {
  const columns = shape.at(-1)!;
  return data.subarray(row * columns, (row + 1) * columns);
}

export function Length({ name, row, values }: { name: string; row: number; values: Float32Array }) {
  return <Num name={name} at={[row]} value={lengthOf(values)} form="length" />;
}
