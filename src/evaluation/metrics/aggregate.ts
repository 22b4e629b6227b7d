/** From items to a task's score, its standard error, and a group's score. */
import { PythonRandom } from '../python/random.ts';
import type { ItemValue } from './metric.ts';

const numberOf = (item: ItemValue) => (typeof item === 'number' ? item : item[0]);
const weightOf = (item: ItemValue) => (typeof item === 'number' ? 1 : item[1]);
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

export const mean = (values: readonly number[]): number => sum(values) / values.length;

/** Standard deviation of a sample, with n − 1. */
export function sampleDeviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(sum(values.map((value) => (value - middle) ** 2)) / (values.length - 1));
}

const weightedMean = (items: readonly ItemValue[]) => sum(items.map(numberOf)) / sum(items.map(weightOf));

/** How the values of items become one. */
export const aggregations = {
  mean: (items) => mean(items.map(numberOf)),
  median: (items) => items.map(numberOf).sort((a, b) => a - b)[Math.floor(items.length / 2)] ?? Number.NaN,
  perplexity: (items) => Math.exp(-mean(items.map(numberOf))),
  weighted_perplexity: (items) => Math.exp(-weightedMean(items)),
  bits_per_byte: (items) => -weightedMean(items) / Math.LN2,
} as const satisfies Record<string, (items: readonly ItemValue[]) => number>;

export type Aggregation = keyof typeof aggregations;

/** Draws of a bootstrap in one chunk, whose random numbers start from the chunk's number. */
const CHUNK = 1000;
export const BOOTSTRAP_DRAWS = 100_000;

/** Standard error by drawing the items again and again. */
export function bootstrapError(aggregation: Aggregation, items: readonly ItemValue[], draws = BOOTSTRAP_DRAWS): number {
  const chunk = Math.min(CHUNK, draws);
  const found: number[] = [];
  for (let seed = 0; seed < Math.floor(draws / chunk); seed++) {
    const random = new PythonRandom(seed);
    for (let i = 0; i < chunk; i++) found.push(aggregations[aggregation](random.choices(items, items.length)));
  }
  return sampleDeviation(found);
}

/** null where the harness gives none: of weighted measures, and of fewer than two items. */
export function standardError(aggregation: Aggregation, items: readonly ItemValue[], draws?: number): number | null {
  if (items.length < 2) return null;
  if (aggregation === 'mean') return sampleDeviation(items.map(numberOf)) / Math.sqrt(items.length);
  if (aggregation === 'weighted_perplexity' || aggregation === 'bits_per_byte') return null;
  return bootstrapError(aggregation, items, draws);
}

export interface GroupMember {
  readonly items: number;
  readonly value: number;
  readonly error: number | null;
}

/** Mean over the items of all tasks: every item counts alike. */
export function groupMean(members: readonly GroupMember[]): number {
  return sum(members.map(({ items, value }) => items * value)) / sum(members.map(({ items }) => items));
}

/** √(Σ (n − 1) · n · error² / (N − tasks) / N): the tasks' variances, pooled. */
export function groupError(members: readonly GroupMember[]): number | null {
  if (members.some(({ error }) => error === null)) return null;
  const total = sum(members.map(({ items }) => items));
  const squares = sum(members.map(({ items, error }) => (items - 1) * error! ** 2 * items));
  return Math.sqrt(squares / (total - members.length) / total);
}
