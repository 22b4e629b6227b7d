/** The gradients that methods send through a policy, against central differences in f64; what is noticed of drawn answers. */
import { deepEqual, equal, ok } from 'node:assert/strict';
import { test } from 'node:test';
import { tinyConfig } from '../../../test/support/tiny-model.ts';
import { Random } from '../../base/random.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { initialWeights } from '../../training/initialize.ts';
import { placeModel, trainable } from '../../training/trainable-model.ts';
import { ppoLoss } from '../losses/ppo.ts';
import { Policy, type Reading, type Sequence } from './policy.ts';
import { alarmsOf, drawRollouts, repetitionOf, type Sampler } from './rollouts.ts';

const config = {
  ...tinyConfig,
  width: 16,
  headCount: 2,
  kvHeadCount: 1,
  ffnWidth: 24,
  vocabSize: 40,
  contextLength: 32,
};

function create(temperature: number) {
  const device = createReferenceDevice();
  const numbers = initialWeights(config, 3);
  const { model, parameters } = placeModel(device, config, (parameter) =>
    numbers(parameter).map((x) => (parameter.shape.length > 1 ? 5 * x : x)),
  );
  const head = device.allocate([1, config.width]);
  const random = new Random(9);
  device.write(
    head,
    Float64Array.from({ length: config.width }, () => random.normal()),
  );
  const all = [...parameters, trainable(device, 'head', head)];
  return { device, all, policy: new Policy({ device, model, parameters: all, head, temperature }) };
}

const sequences: Sequence[] = [
  { ids: Uint32Array.of(1, 5, 9, 2, 7, 3), carries: Uint8Array.of(0, 0, 0, 1, 1, 1) },
  { ids: Uint32Array.of(1, 8, 30, 11), carries: Uint8Array.of(0, 0, 1, 1) },
];

/** Some loss of both log-probabilities and values. */
function loss(readings: readonly Reading[]) {
  return ppoLoss(
    { clip: 5, clipValue: 5, valueCoefficient: 0.5, dualClip: null },
    {
      logps: readings.map(({ logps }) => logps),
      oldLogps: readings.map(({ logps }) => logps.map((_, t) => -3.6 - 0.05 * t)),
      advantages: readings.map(({ logps }, i) => logps.map((_, t) => ((i + t) % 2 ? 1 : -0.7))),
      values: readings.map((reading) => reading.values.subarray(0, reading.logps.length)),
      oldValues: readings.map(({ logps }) => logps.map(() => 0.1)),
      returns: readings.map(({ logps }) => logps.map((_, t) => 0.3 * t)),
    },
  );
}

for (const temperature of [1, 0.7]) {
  test(`gradients of log-probabilities and of a head at temperature ${temperature} are those of central differences`, async () => {
    const { device, all, policy } = create(temperature);
    for (const { gradient } of all) gradient.isEmpty = true;
    let read: readonly Reading[] = [];
    await policy.pass(sequences, (readings) => {
      read = readings;
      const { dLogps, dValues } = loss(readings);
      return readings.map((_, i) => ({ dLogps: dLogps[i]!, dValues: dValues[i]! }));
    });
    const again = await policy.read(sequences);
    deepEqual(
      again.map(({ logps }) => [...logps]),
      read.map(({ logps }) => [...logps]),
      'both passes read the same',
    );
    let compared = 0;
    for (const { name, tensor, gradient } of all) {
      const count = elementCount(tensor.shape);
      const found = await device.read(gradient.tensor);
      const numbers = Float64Array.from(await device.read(tensor));
      for (const at of [0, Math.floor(count / 2), count - 1]) {
        const h = 2 ** -9; // parameters are f32: so large a step is exact enough
        const shifted = async (by: number) => {
          device.write(
            tensor,
            numbers.map((x, i) => (i === at ? x + by : x)),
          );
          return loss(await policy.read(sequences)).loss;
        };
        const slope = ((await shifted(h)) - (await shifted(-h))) / (2 * h);
        device.write(tensor, numbers);
        const error = Math.abs(slope - found[at]!);
        ok(error <= 1e-4 + 5e-3 * Math.abs(slope), `${name}[${at}]: ${found[at]}, expected ${slope}`);
        if (Math.abs(slope) > 1e-6) compared++;
      }
    }
    ok(compared > 15, `${compared}`);
  });
}

test('sequences spread over several passes read as together, and their order is kept', async () => {
  const { policy } = create(1);
  const many = Array.from({ length: 300 }, (_, i) => sequences[i % 2]!);
  const readings = await policy.read(many);
  const [a, b] = await policy.read(sequences);
  for (const [i, { logps }] of readings.entries()) deepEqual([...logps], [...(i % 2 ? b! : a!).logps]);
});

test('drawn answers: a seed each, groups beside each other; repetition, and what alarms', async () => {
  const seeds: number[] = [];
  const sampler: Sampler = {
    draw: async (requests) => {
      seeds.push(...requests.map(({ seed }) => seed));
      return requests.map(({ ids }) => ({ ids: Uint32Array.of(ids[0]!, 2), isEnded: true, text: '' }));
    },
  };
  const prompts = [7, 8].map((id) => {
    const ids = Uint32Array.of(id);
    return { ids, trainIds: ids, isSafety: false, answer: null };
  });
  const rollouts = await drawRollouts(sampler, prompts, { count: 3, seed: 5, maxTokens: 4, temperature: 1 });
  deepEqual(
    rollouts.map(({ prompt }) => prompt.ids[0]),
    [7, 7, 7, 8, 8, 8],
  );
  deepEqual([...rollouts[3]!.sequence.ids], [8, 8, 2]);
  deepEqual([...rollouts[3]!.sequence.carries], [0, 1, 1]);
  equal(new Set(seeds).size, 6);
  equal(repetitionOf(Uint32Array.of(1, 2, 3, 4, 5, 6)), 0);
  equal(repetitionOf(new Uint32Array(13).fill(7)), 0.9);
  deepEqual(alarmsOf({ length: 9, ended: 0.9, repetition: 0.1, entropy: 1, kl: 3 }), []);
  equal(alarmsOf({ length: 9, ended: 0.2, repetition: 0.5, entropy: 0.01, kl: 99 }).length, 4);
  deepEqual(alarmsOf({ ended: 0.25, repetition: 0.1 }), ['only 25 % of the answers have an end']); // rejection sampling measures no more
});
