import { deepEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { sumInOrder } from './collective.ts';

test('a sum over ranks is made in their order, in f64, and rounded once', () => {
  const values = fc.array(fc.float({ noNaN: true }), { minLength: 1, maxLength: 40 });
  fc.assert(
    fc.property(values, fc.integer({ min: 1, max: 9 }), fc.integer({ min: 0, max: 5000 }), (pattern, size, each) => {
      const received = Float32Array.from({ length: size * each }, (_, i) => pattern[(i * 7) % pattern.length]!);
      const sums = new Float32Array(each);
      sumInOrder(sums, received, size);
      const expected = Float32Array.from({ length: each }, (_, i) => {
        let sum = received[i]!;
        for (let rank = 1; rank < size; rank++) sum += received[rank * each + i]!;
        return sum;
      });
      deepEqual(sums, expected);
    }),
    { numRuns: 60 },
  );
});
