import { epochOrder, type Order } from '../../training/data/epoch-order.ts';

/**
 * Which of `count` rows a step sees: the epochs' orders one after another, cut into batches. Depends on nothing but its arguments,
 * so a resumed run needs to know no more than its step.
 */
export function rowsOfStep(count: number, batch: number, step: number, seed: number): number[] {
  const rows: number[] = [];
  let order: Order | null = null;
  let epoch = -1;
  for (let at = step * batch; at < (step + 1) * batch; at++) {
    const wanted = Math.floor(at / count);
    if (wanted !== epoch) {
      epoch = wanted;
      order = epochOrder(count, null, seed, epoch);
    }
    rows.push(order!.at(at % count)!);
  }
  return rows;
}
