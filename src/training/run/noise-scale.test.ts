import { deepEqual, equal } from 'node:assert/strict';
import test from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { ids, trainer } from '../../../test/support/tiny-trainer.ts';
import { Random } from '../../base/random.ts';
import { solo } from '../collective.ts';
import { meanSmallBatch } from '../step/losses.ts';
import { type NoiseState, noiseScale, withStep } from './noise-scale.ts';

test('two batch sizes whose squared norms are as expected give the noise scale exactly', () => {
  const [squares, trace] = [0.5, 30];
  const normOf = (labels: number) => Math.sqrt(squares + trace / labels);
  let state: NoiseState | null = null;
  for (const [few, many] of [
    [10, 40],
    [16, 256],
  ] as const) {
    const small = { squares: normOf(few) ** 2, inverseLabels: 1 / few };
    state = withStep(state, small, { gradientNorm: normOf(many), labelCount: many });
  }
  assertClose('scale', [noiseScale(state)!, state!.trace, state!.squares], [60, 30, 0.5], { rtol: 1e-12 });
  const same = { squares: 1, inverseLabels: 0.1 };
  equal(withStep(state, same, { gradientNorm: 1, labelCount: 10 }), state, 'one size tells nothing');
  equal(noiseScale({ trace: 1, squares: -1, count: 1 }), null);
  equal(noiseScale(null), null);
});

test('of gradients with noise of a known size, the estimate comes near the known scale', () => {
  const random = new Random(5);
  const [dimensions, parts, labels, spread] = [50, 4, 8, 2];
  const truth = Float64Array.from({ length: dimensions }, () => 0.3 * random.normal());
  let state: NoiseState | null = null;
  for (let step = 0; step < 600; step++) {
    // The mean over a part's labels has the noise of one label, divided by the root of their number.
    const means = Array.from({ length: parts }, () =>
      truth.map((g) => g + (spread / Math.sqrt(labels)) * random.normal()),
    );
    const whole = truth.map((_, d) => means.reduce((sum, mean) => sum + mean[d]! / parts, 0));
    const squares = (g: Float64Array) => g.reduce((sum, x) => sum + x * x, 0);
    const big = { gradientNorm: Math.sqrt(squares(whole)), labelCount: parts * labels };
    state = withStep(state, { squares: squares(means[0]!), inverseLabels: 1 / labels }, big);
  }
  const expected = (dimensions * spread ** 2) / truth.reduce((sum, x) => sum + x * x, 0);
  assertClose('scale', [noiseScale(state)!], [expected], { rtol: 0.25 });
});

test('a step tells the gradient of its first part, which changes no bit of it', async () => {
  const parts = [20, 12].map((length, i) => ({ ids: ids.slice(i * 20, i * 20 + length), rows: 1, length }));
  const measuring = trainer({ measuresNoise: true });
  const plain = trainer();
  await plain.trainer.computeGradients([parts[0]!]);
  let squares = 0;
  for (const { gradient } of plain.parameters)
    for (const x of await plain.device.read(gradient.tensor)) squares += x * x;
  const { smallBatch, ...told } = await measuring.trainer.step(parts);
  assertClose('small', [smallBatch!.squares, smallBatch!.inverseLabels], [squares, 1 / 19], { rtol: 1e-5 });
  deepEqual(await plain.trainer.step(parts), told);
  for (const [i, { tensor }] of plain.parameters.entries()) {
    deepEqual(await plain.device.read(tensor), await measuring.device.read(measuring.parameters[i]!.tensor));
  }
  equal((await measuring.trainer.step([parts[0]!])).smallBatch, undefined);
});

test('ranks take the mean of their small batches, without those that have no labels', () => {
  const others = (...numbers: number[]) => ({
    ...solo,
    size: 3,
    sum(values: Float32Array | Float64Array) {
      for (const [i, x] of numbers.entries()) values[i]! += x;
    },
  });
  const own = { squares: 2, inverseLabels: 0.1 };
  deepEqual(meanSmallBatch(own, others(4, 0.3, 1)), { squares: 3, inverseLabels: 0.2 });
  deepEqual(meanSmallBatch({ squares: Number.NaN, inverseLabels: Number.POSITIVE_INFINITY }, others(4, 0.3, 1)), {
    squares: 4,
    inverseLabels: 0.3,
  });
  equal(meanSmallBatch(null, others(0, 0, 0)), null);
});
