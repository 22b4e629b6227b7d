import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { Random } from './random.ts';
import { bootstrapMean, holm, mean, slope, standardDeviation, tDistribution, tQuantile, tTest } from './statistics.ts';

const near = (actual: number, expected: number, error = 1e-9) =>
  ok(Math.abs(actual - expected) <= error * Math.max(1, Math.abs(expected)), `${actual}, expected ${expected}`);

test("Student's distribution: the values of its density's integral (Simpson, 200,000 pieces), and the tables' quantiles", () => {
  for (const [t, degrees, share] of [
    [0.5, 1, 0.6475836176504314],
    [2, 2, 0.9082482904638622],
    [1.3, 3, 0.8577662456360506],
    [2.5, 9, 0.9830690861585067],
    [0.1, 30, 0.5394951941048641],
    [6, 4, 0.998058731476519],
  ] as const) {
    near(tDistribution(t, degrees), share);
    near(tDistribution(-t, degrees), 1 - share);
    near(tQuantile(share, degrees), t, 1e-8);
  }
  for (const [degrees, quantile] of [
    [1, 12.706],
    [2, 4.303],
    [4, 2.776],
    [9, 2.262],
    [30, 2.042],
  ] as const)
    near(tQuantile(0.975, degrees), quantile, 1e-3);
});

test('the paired t test of Student 1908: ten patients, hours of sleep gained by one drug over another', () => {
  const gained = [1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4];
  near(standardDeviation(gained), 1.2299954832798732);
  const { mean: middle, interval, p } = tTest(gained);
  near(middle, 1.58);
  near(p, 0.0028328901973875276, 1e-7);
  near(interval.low, 0.7001142, 1e-6);
  near(interval.high, 2.4598858, 1e-6);
  const one = tTest([3]);
  deepStrictEqual([one.interval.low, one.interval.high, one.p], [-Infinity, Infinity, 1]);
});

test('the interval holds the true mean in 95 of 100 samples', () => {
  const random = new Random(7);
  let held = 0;
  for (let i = 0; i < 4000; i++) {
    const { interval } = tTest(Array.from({ length: 3 }, () => 5 + 2 * random.normal()));
    if (interval.low <= 5 && 5 <= interval.high) held++;
  }
  ok(Math.abs(held / 4000 - 0.95) < 0.012, `${held} of 4000`);
});

test('Holm: each p times the number of tests that are left, never below one before it', () => {
  for (const [i, p] of holm([0.01, 0.04, 0.03, 0.005]).entries()) near(p, [0.03, 0.06, 0.06, 0.02][i]!);
  deepStrictEqual(holm([0.9, 0.8]), [1, 1]);
});

test('the bootstrap: by hand for two numbers, near the normal interval for many, the same for a seed', () => {
  // Two numbers: a quarter of the means is 0, a half 1, a quarter 2.
  deepStrictEqual(bootstrapMean([0, 2], { confidence: 0.4 }), { low: 1, high: 1 });
  deepStrictEqual(bootstrapMean([0, 2], { confidence: 0.6 }), { low: 0, high: 2 });
  const random = new Random(3);
  const many = Array.from({ length: 400 }, () => random.normal());
  const { low, high } = bootstrapMean(many);
  const error = standardDeviation(many) / 20;
  near(low, mean(many) - 1.96 * error, 0.02);
  near(high, mean(many) + 1.96 * error, 0.02);
  deepStrictEqual(bootstrapMean(many), { low, high });
});

test('the slope of a line, and of points beside one', () => {
  near(
    slope([
      [0, 1],
      [1, 3],
      [2, 5],
    ]),
    2,
  );
  strictEqual(
    slope([
      [0, 0],
      [1, 1],
      [2, 0],
    ]),
    0,
  );
});
