/**
 * How the numbers that stages measured are spread, as counts of values rounded to two digits: small, exact to merge in any order, and fine
 * enough to draw and to choose thresholds by.
 */
import type { Attributes } from '../document.ts';

/** attribute → rounded value → documents */
export type Histograms = Record<string, Record<string, number>>;

const DIGITS = 2;
/** Beyond so many different values an attribute is no measure but a number of something, such as an id; the rest is left out. */
const MAXIMUM_VALUES = 2000;

export function countAttributes(histograms: Histograms, attributes: Attributes): void {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value !== 'number' || !Number.isFinite(value)) continue;
    const counts = (histograms[name] ??= {});
    const rounded = String(Number(value.toPrecision(DIGITS)));
    if (counts[rounded] === undefined && Object.keys(counts).length >= MAXIMUM_VALUES) continue;
    counts[rounded] = (counts[rounded] ?? 0) + 1;
  }
}

/** into += from */
export function mergeHistograms(into: Histograms, from: Histograms): void {
  for (const [name, counts] of Object.entries(from)) {
    const total = (into[name] ??= {});
    for (const [value, count] of Object.entries(counts)) total[value] = (total[value] ?? 0) + count;
  }
}

export interface Bin {
  readonly from: number;
  readonly to: number;
  readonly count: number;
}

const BINS = 24;

/** Bins to draw: equal steps, or equal ratios when positive values span more than a factor of 50. */
export function drawBins(counts: Readonly<Record<string, number>>): Bin[] {
  const entries = Object.entries(counts).map(([value, count]) => [Number(value), count] as const);
  const values = entries.map(([value]) => value);
  const low = Math.min(...values);
  const high = Math.max(...values);
  if (!(high > low)) return [{ from: low, to: high, count: entries.reduce((sum, [, count]) => sum + count, 0) }];
  const byRatio = low > 0 && high / low > 50;
  const [place, value] = byRatio ? [Math.log, Math.exp] : [(x: number) => x, (x: number) => x];
  const [first, last] = [place(low), place(high)];
  const edge = (i: number) => value(first + ((last - first) * i) / BINS);
  const bins = Array.from({ length: BINS }, (_, i) => ({ from: edge(i), to: edge(i + 1), count: 0 }));
  for (const [each, count] of entries) {
    const position = (place(each) - first) / (last - first);
    bins[Math.min(BINS - 1, Math.floor(position * BINS))]!.count += count;
  }
  return bins;
}
