/**
 * Numbers per token of several answers: one row an answer, as long as the answer is. There is no padding, and so no mask.
 * Losses are computed in f64 on the host: they are a handful of numbers, and their gradients are the weights of the tokens'
 * log-probabilities in the model's backward pass.
 */
import { ArgumentError } from '../../base/errors.ts';

export type Numbers = ArrayLike<number>;
export type Rows = readonly Numbers[];

export function countTokens(rows: Rows): number {
  return rows.reduce((count, row) => count + row.length, 0);
}

/** A row of zeros for each row. */
export function zerosLike(rows: Rows): Float64Array[] {
  return rows.map(({ length }) => new Float64Array(length));
}

export function mean(values: Numbers): number {
  let sum = 0;
  for (let i = 0; i < values.length; i++) sum += values[i]!;
  return sum / values.length;
}

/** Refuses arguments that do not belong together: lists of different lengths, or an empty batch. */
export function checkLengths(loss: string, counts: Readonly<Record<string, number>>): void {
  const [[first, expected], ...rest] = Object.entries(counts) as [[string, number], ...[string, number][]];
  if (expected === 0) throw new ArgumentError('loss.empty', `${loss}: ${first} is empty. Give at least one.`);
  for (const [name, count] of rest)
    if (count !== expected)
      throw new ArgumentError(
        'loss.lengths',
        `${loss}: ${first} has ${expected} entries, ${name} ${count}. Give as many.`,
      );
}

/** The same for numbers per token: as many rows, and each as long. */
export function checkRows(loss: string, lists: Readonly<Record<string, Rows>>): void {
  checkLengths(loss, Object.fromEntries(Object.entries(lists).map(([name, rows]) => [name, rows.length])));
  const [[first, expected], ...rest] = Object.entries(lists) as [[string, Rows], ...[string, Rows][]];
  for (const [i, { length }] of expected.entries())
    checkLengths(`${loss}: answer ${i}`, {
      [first]: length,
      ...Object.fromEntries(rest.map(([name, rows]) => [name, rows[i]!.length])),
    });
}
