/** What may be concluded from few numbers: Student's t, Holm's correction, the bootstrap, a line's slope. */
import { assert } from './assert.ts';
import { Random } from './random.ts';

export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/** Of a sample: divided by n − 1. */
export function standardDeviation(values: readonly number[]): number {
  const middle = mean(values);
  return Math.sqrt(values.reduce((sum, value) => sum + (value - middle) ** 2, 0) / (values.length - 1));
}

export interface Interval {
  readonly low: number;
  readonly high: number;
}

export interface TTest {
  readonly mean: number;
  /** Of the mean, at the confidence that was asked for. */
  readonly interval: Interval;
  /** Two-sided: how likely a mean at least this far from 0 is, if the true one is 0. */
  readonly p: number;
  readonly count: number;
}

/**
 * Student's test of whether the mean of some numbers is 0; of paired differences: the paired t test.
 *
 *   t = mean / (sd / √n), n − 1 degrees of freedom; interval mean ± t* · sd / √n
 *
 * Numbers  fewer than two numbers say nothing of their spread: the interval is then everything, and p is 1.
 */
export function tTest(values: readonly number[], confidence = 0.95): TTest {
  const count = values.length;
  const middle = mean(values);
  if (count < 2) return { mean: middle, interval: { low: -Infinity, high: Infinity }, p: 1, count };
  const error = standardDeviation(values) / Math.sqrt(count);
  const reach = tQuantile((1 + confidence) / 2, count - 1) * error;
  const p = error === 0 ? (middle === 0 ? 1 : 0) : 2 * (1 - tDistribution(Math.abs(middle) / error, count - 1));
  return { mean: middle, interval: { low: middle - reach, high: middle + reach }, p, count };
}

/** P(T ≤ t) of Student's distribution: 1 − ½ I(ν/(ν+t²); ν/2, ½) for t ≥ 0. */
export function tDistribution(t: number, degrees: number): number {
  const tail = 0.5 * incompleteBeta(degrees / (degrees + t * t), degrees / 2, 0.5);
  return t >= 0 ? 1 - tail : tail;
}

/** The t below which a share `p` of Student's distribution lies, by bisection to the last bit that matters. */
export function tQuantile(p: number, degrees: number): number {
  assert(p > 0 && p < 1, `a quantile of ${p}`);
  if (p < 0.5) return -tQuantile(1 - p, degrees);
  let [low, high] = [0, 1];
  while (tDistribution(high, degrees) < p) high *= 2;
  for (let i = 0; i < 100; i++) {
    const middle = (low + high) / 2;
    if (tDistribution(middle, degrees) < p) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}

/**
 * The regularized incomplete beta function I(x; a, b), by Lentz's continued fraction.
 * Source  Abramowitz & Stegun 26.5.8.
 */
function incompleteBeta(x: number, a: number, b: number): number {
  if (x <= 0) return 0;
  if (x >= 1) return 1;
  if (x > (a + 1) / (a + b + 2)) return 1 - incompleteBeta(1 - x, b, a);
  const front = Math.exp(logGamma(a + b) - logGamma(a) - logGamma(b) + a * Math.log(x) + b * Math.log1p(-x)) / a;
  const tiny = 1e-300;
  let [c, d] = [1, 0];
  let fraction = 1;
  for (let i = 0; i <= 300; i++) {
    const m = Math.floor(i / 2);
    const numerator =
      i === 0
        ? 1
        : i % 2 === 0
          ? (m * (b - m) * x) / ((a + 2 * m - 1) * (a + 2 * m))
          : (-(a + m) * (a + b + m) * x) / ((a + 2 * m) * (a + 2 * m + 1));
    d = 1 / (1 + numerator * d || tiny);
    c = 1 + numerator / c || tiny;
    const step = c * d;
    fraction *= step;
    if (Math.abs(step - 1) < 1e-15) break;
  }
  return front * (fraction - 1);
}

/** ln Γ(x), x > 0: Stirling's series, from 10 on. */
function logGamma(x: number): number {
  if (x < 10) return logGamma(x + 1) - Math.log(x);
  const series = 1 / (12 * x) - 1 / (360 * x ** 3) + 1 / (1260 * x ** 5) - 1 / (1680 * x ** 7);
  return (x - 0.5) * Math.log(x) - x + 0.5 * Math.log(2 * Math.PI) + series;
}

/**
 * p values of several tests, each raised so that all together err with the chance that one alone would.
 * Source  Holm 1979, "A simple sequentially rejective multiple test procedure".
 */
export function holm(ps: readonly number[]): number[] {
  const order = ps.map((_, i) => i).sort((i, j) => ps[i]! - ps[j]!);
  const adjusted = new Array<number>(ps.length);
  let least = 0;
  for (const [rank, i] of order.entries()) {
    least = Math.max(least, Math.min(1, (ps.length - rank) * ps[i]!));
    adjusted[i] = least;
  }
  return adjusted;
}

/**
 * The interval in which the mean of resampled numbers lies: percentiles of `rounds` means of n numbers drawn with replacement.
 * Source  Efron 1979; the same seed gives the same interval.
 */
export function bootstrapMean(
  values: readonly number[],
  { confidence = 0.95, rounds = 10_000, seed = 1 } = {},
): Interval {
  const random = new Random(seed);
  const means = Float64Array.from({ length: rounds }, () => {
    let sum = 0;
    for (let i = 0; i < values.length; i++) sum += values[random.below(values.length)]!;
    return sum / values.length;
  }).sort();
  const at = (share: number) => means[Math.min(rounds - 1, Math.max(0, Math.round(share * (rounds - 1))))]!;
  return { low: at((1 - confidence) / 2), high: at((1 + confidence) / 2) };
}

/** Of the line with the least squares through the points. */
export function slope(points: readonly (readonly [x: number, y: number])[]): number {
  const middleX = mean(points.map(([x]) => x));
  const middleY = mean(points.map(([, y]) => y));
  let [products, squares] = [0, 0];
  for (const [x, y] of points) {
    products += (x - middleX) * (y - middleY);
    squares += (x - middleX) ** 2;
  }
  return products / squares;
}
