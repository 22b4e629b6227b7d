import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import { cases, gradientsOn } from '../../../test/support/gradient-cases.ts';
import { noGpu, testDevice, testGpu } from '../../../test/support/webgpu.ts';
import type { Gradient } from '../../kernels/backward-ops.ts';
import type { WeightType } from '../../tensor/dtype.ts';
import { type Device, fromFloats, readDoubles } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { randomFloats, randomWeights } from '../wasm/testing.ts';

const skip = (await testGpu()) ? false : noGpu;
const gpu = skip ? null : await testDevice();
const reference = createReferenceDevice();

for (const [what, { shapes, run }] of Object.entries(cases)) {
  test(`${what}: output and gradients agree with the reference`, { skip }, async () => {
    for (const begin of [0, 2]) {
      const expected = await gradientsOn(reference, shapes, run, begin);
      for (const [i, actual] of (await gradientsOn(gpu!, shapes, run, begin)).entries()) {
        const scale = expected[i]!.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        assertClose(`result ${i}, begun with ${begin}`, actual, expected[i]!, { atol: 3e-6 * scale + 1e-7 });
      }
    }
  });
}

const [N, O, I] = [5, 43, 256];

/** A linear layer and a loss over frozen weights of a type: the outputs and the gradients of what lies below them. */
async function frozenResults(device: Device, dtype: WeightType | 'nf4'): Promise<Float64Array[]> {
  const { source } = randomWeights(dtype === 'nf4' ? 'f32' : dtype, O, I, 3);
  const w = dtype === 'nf4' ? device.placeNf4(source) : device.placeWeight(source, 1);
  const x = fromFloats(device, randomFloats(N * I, 1), [N, I]);
  const dy = fromFloats(device, randomFloats(N * O, 2), [N, O]);
  const gradients = [false, true].map((isEmpty): Gradient => {
    const tensor = fromFloats(device, new Float32Array(N * I).fill(0.5), [N, I]);
    return { tensor, isEmpty };
  });
  const y = device.ops.linearExact(x, w);
  device.backward.linear(gradients[0]!, null, null, dy, x, w);
  const labels = Int32Array.of(3, -100, 42, 0, 7);
  const weights = Float64Array.of(0.5, 1, 0.25, 1, -1);
  const losses = device.backward.crossEntropy(gradients[1]!, null, x, w, labels, weights);
  return Promise.all(
    [y, losses, ...gradients.map(({ tensor }) => tensor)].map((tensor) => readDoubles(device, tensor)),
  );
}

for (const dtype of ['Q4_0', 'Q6_K', 'f16', 'nf4'] as const) {
  test(`frozen weights in ${dtype}: products, gradients and losses agree with the reference`, { skip }, async () => {
    const [actual, expected] = [await frozenResults(gpu!, dtype), await frozenResults(reference, dtype)];
    for (const [i, numbers] of expected.entries()) {
      const scale = numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
      ok(scale > 0, `result ${i} is all zeros`);
      assertClose(`result ${i}`, actual[i]!, numbers, { atol: 4e-6 * scale });
    }
  });
}

test('the loss with a cap and a penalty of the normalizer, their gradients, and weights that take part in neither', {
  skip,
}, async () => {
  const [rows, D, V] = [7, 12, 300];
  const run = async (device: Device) => {
    const [x, head] = [
      fromFloats(device, randomFloats(rows * D, 1), [rows, D]),
      fromFloats(device, randomFloats(V * D, 2), [V, D]),
    ];
    const [dx, dHead] = [x, head].map((tensor): Gradient => ({ tensor: device.scratch(tensor.shape), isEmpty: true }));
    const labels = Int32Array.of(3, -100, 42, 0, 7, 299, 299);
    const weights = Float64Array.of(0.5, 1, 0.25, 1, -1, 0, 2);
    const losses = device.backward.crossEntropy(dx!, dHead!, x, head, labels, weights, { cap: 3, zLoss: 0.01 });
    const all = [losses, dx!.tensor, dHead!.tensor].map((tensor) => readDoubles(device, tensor));
    return (await Promise.all(all)).flatMap((numbers) => [...numbers]);
  };
  assertClose('loss', await run(gpu!), await run(reference), { rtol: 1e-5, atol: 2e-6 });
});

test('sums of squares, AdamW on a part of a parameter, an average, and Muon on matrices wide and tall', {
  skip,
}, async () => {
  const step = { learningRate: 0.01, weightDecay: 0.1, gradientScale: 0.5 };
  const run = async (device: Device) => {
    const filled = (shape: readonly number[], seed: number) => {
      const tensor = device.allocate(shape);
      device.write(
        tensor,
        randomFloats(
          shape.reduce((a, b) => a * b),
          seed,
        ),
      );
      return tensor;
    };
    const large = filled([9001], 1);
    const sums = device.sumSquares([large, filled([3], 2)]);
    const [p, g, m, v] = [filled([40], 3), filled([40], 4), filled([12], 5), filled([12], 6)];
    device.write(v!, randomFloats(12, 6).map(Math.abs));
    device.adamW(p!, g!, { m: m!, v: v! }, 20, { ...step, beta1: 0.9, beta2: 0.95, eps: 1e-8, step: 3 });
    const mean = filled([9001], 7);
    device.blend(mean, 0.9, large, 0.1);
    const muons = [
      [6, 20],
      [20, 6],
    ].map((shape) => {
      const [parameter, gradient, mean] = [7, 8, 9].map((seed) => filled(shape, seed));
      device.muon(parameter!, gradient!, mean!, { ...step, momentum: 0.95 });
      return [parameter!, mean!];
    });
    const all = [sums, p!, m!, v!, mean, ...muons.flat()].map((tensor) => readDoubles(device, tensor));
    return (await Promise.all(all)).flatMap((numbers) => [...numbers]);
  };
  assertClose('updates', await run(gpu!), await run(reference), { rtol: 2e-5, atol: 2e-5 });
});

test('tensors are written, filled, copied, reshaped and kept as on the reference', { skip }, async () => {
  const run = async (device: Device) => {
    const mark = device.mark();
    const [x, y, z] = [fromFloats(device, randomFloats(12, 1), [3, 4]), device.scratch([2, 6]), device.scratch([5])];
    device.copy(y, x);
    device.fill(z, 0.25);
    device.write(z, [7, 8], 2);
    const reading = device.read(z, 1, 3);
    const into = new Float32Array(4);
    const readingInto = device.read(z, 2, 2, into.subarray(1, 3));
    const [kept] = device.keep(mark, [device.reshape(y, [12])]);
    device.write(device.scratch([12]), randomFloats(12, 5));
    await readingInto;
    const numbers = [...(await reading), ...into, ...(await device.read(kept!))];
    device.release(mark);
    return numbers;
  };
  assertClose('numbers', await run(gpu!), await run(reference), { rtol: 0, atol: 0 });
});
