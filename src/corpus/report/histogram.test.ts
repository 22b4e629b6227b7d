import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { countAttributes, drawBins, type Histograms, mergeHistograms } from './histogram.ts';

test('values are rounded to two digits; texts and ids are not measures', () => {
  const histograms: Histograms = {};
  for (const perplexity of [341.2, 338, 1000, 0.914, 0.918])
    countAttributes(histograms, { perplexity, language: 'en', odd: Number.NaN });
  deepStrictEqual(histograms, { perplexity: { '340': 2, '1000': 1, '0.91': 1, '0.92': 1 } });
});

test('merging in any order is counting all at once', () => {
  const numbers = fc.array(fc.double({ min: 0, max: 5000, noNaN: true }), { maxLength: 20 });
  fc.assert(
    fc.property(numbers, numbers, (a, b) => {
      const count = (values: number[]): Histograms => {
        const histograms: Histograms = {};
        for (const x of values) countAttributes(histograms, { x });
        return histograms;
      };
      const merged = count(b);
      mergeHistograms(merged, count(a));
      deepStrictEqual(merged, count([...a, ...b]));
      if (merged.x)
        strictEqual(
          drawBins(merged.x).reduce((sum, bin) => sum + bin.count, 0),
          a.length + b.length,
        );
    }),
  );
});

test('bins follow the data: equal steps for scores, equal ratios for perplexities', () => {
  const scores = drawBins({ '0.1': 1, '0.9': 3 });
  ok(Math.abs(scores[1]!.to - scores[1]!.from - (scores[0]!.to - scores[0]!.from)) < 1e-9);
  const perplexities = drawBins({ '10': 1, '10000': 1 });
  ok(Math.abs(perplexities[1]!.to / perplexities[1]!.from - perplexities[0]!.to / perplexities[0]!.from) < 1e-9);
  deepStrictEqual(drawBins({ '5': 7 }), [{ from: 5, to: 5, count: 7 }]);
});
