/** Two runs over the same items: how their scores differ, item by item. */
import { mean, sampleDeviation } from '../metrics/aggregate.ts';
import type { Sample } from './samples.ts';

export interface Difference {
  readonly task: string;
  readonly rules: string;
  readonly metric: string;
  readonly filter: string;
  /** Items that both runs have, asked in the same words. */
  readonly items: number;
  /** Items that only one has, or that were asked otherwise. */
  readonly others: number;
  readonly before: number;
  readonly now: number;
  /** now − before, and the ends of its interval of 95 %. */
  readonly difference: number;
  readonly low: number;
  readonly high: number;
  /** Items that only the one, and only the other, got a larger value for. */
  readonly better: number;
  readonly worse: number;
}

/** Of the normal distribution, for 95 %. */
const Z = 1.959963984540054;

const keyOf = ({ doc_hash, target_hash, filter }: Sample) => JSON.stringify([doc_hash, target_hash, filter]);

/** Paired differences of every metric whose items have a number. Prompts may differ: the items are the same documents. */
export function compareSamples(
  task: string,
  rules: string,
  before: readonly Sample[],
  now: readonly Sample[],
): Difference[] {
  const known = new Map(before.map((sample) => [keyOf(sample), sample]));
  const found: Difference[] = [];
  const columns = new Set(
    now.flatMap(({ metrics, filter }) => metrics.map((metric) => JSON.stringify([metric, filter]))),
  );
  for (const column of columns) {
    const [metric, filter] = JSON.parse(column) as [string, string];
    const mine = now.filter((sample) => sample.filter === filter && typeof sample[metric] === 'number');
    const pairs = mine.flatMap((sample) => {
      const twin = known.get(keyOf(sample));
      return twin && typeof twin[metric] === 'number'
        ? [[twin[metric] as number, sample[metric] as number] as const]
        : [];
    });
    if (pairs.length === 0) continue;
    const differences = pairs.map(([a, b]) => b - a);
    const difference = mean(differences);
    const half = pairs.length < 2 ? Number.NaN : (Z * sampleDeviation(differences)) / Math.sqrt(pairs.length);
    found.push({
      task,
      rules,
      metric,
      filter,
      items: pairs.length,
      others: mine.length - pairs.length,
      before: mean(pairs.map(([a]) => a)),
      now: mean(pairs.map(([, b]) => b)),
      difference,
      low: difference - half,
      high: difference + half,
      better: differences.filter((each) => each > 0).length,
      worse: differences.filter((each) => each < 0).length,
    });
  }
  return found;
}
