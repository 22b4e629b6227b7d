import { ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { assertClose } from '../../../test/support/close.ts';
import { logSoftmaxAt, logSumExp, softmax } from './reference.ts';

const softmaxOf = (z: Float64Array) => {
  const p = new Float64Array(z.length);
  softmax(p, z);
  return p;
};

test('softmax by hand: scores ln 1, ln 2, ln 5', () => {
  const z = Float64Array.from([1, 2, 5], Math.log);
  assertClose('p', softmaxOf(z), [1 / 8, 2 / 8, 5 / 8], { atol: 1e-15 });
  assertClose('log p', [logSoftmaxAt(z, 1), logSumExp(z)], [Math.log(1 / 4), Math.log(8)], { atol: 1e-15 });
  softmax(z, z, 2);
  assertClose('the first two, in place', z, [1 / 3, 2 / 3, Math.log(5)], { atol: 1e-15 });
});

test('far from 0 nothing overflows, and log-probabilities reach below the smallest number', () => {
  const z = Float32Array.of(1000, 999, -1e30);
  const sum = [0, 1, 2].reduce((total, v) => total + Math.exp(logSoftmaxAt(z, v)), 0);
  ok(Math.abs(sum - 1) < 1e-12);
  ok(logSoftmaxAt(z, 2) < -9e29);
});

test('forbidden places have nothing, infinite ones everything, NaN is not hidden', () => {
  const none = Number.NEGATIVE_INFINITY;
  assertClose('−∞', softmaxOf(Float64Array.of(none, 0, 0)), [0, 0.5, 0.5], { atol: 0 });
  assertClose('+∞', softmaxOf(Float64Array.of(Infinity, 3, Infinity)), [0.5, 0, 0.5], { atol: 0 });
  strictEqual(logSumExp(Float64Array.of(none, none)), none);
  ok(softmaxOf(Float64Array.of(1, Number.NaN, 2)).every(Number.isNaN));
  ok(Number.isNaN(logSumExp(Float64Array.of(1, Number.NaN, 2))));
});

test('laws: sums to 1; does not see a constant added to all scores; its logarithm is logSoftmaxAt', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -50, max: 50, noNaN: true }), { minLength: 1, maxLength: 40 }), (values) => {
      const z = Float64Array.from(values);
      const p = softmaxOf(z);
      assertClose('sum', [p.reduce((a, b) => a + b)], [1], { atol: 1e-12 });
      assertClose('shifted', softmaxOf(z.map((value) => value + 700)), p, { atol: 1e-12 });
      const logs = Float64Array.from(z, (_, v) => Math.exp(logSoftmaxAt(z, v)));
      assertClose('exp(log p)', logs, p, { atol: 1e-12 });
    }),
  );
});
