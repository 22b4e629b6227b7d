import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import type { Gradient } from '../../kernels/backward-ops.ts';
import { loadBlas } from '../../platform/node/native/blas.ts';
import { loadNative } from '../../platform/node/native/machine-code.ts';
import { nodeThreads } from '../../platform/node/threads.ts';
import { dtypes, weightTypes } from '../../tensor/dtype.ts';
import { type Device, fromFloats, readDoubles } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { createWasmDevice } from './device.ts';
import { randomFloats, randomWeights } from './testing.ts';

const blas = loadBlas();
const native = loadNative();
const devices: Record<string, () => Promise<Device>> = {
  'kept quantized': () => createWasmDevice({ activations: 'int8' }),
  'decoded when placed': () => createWasmDevice({ activations: 'f32' }),
  'two threads': () => createWasmDevice({ activations: 'int8', threads: 2, host: nodeThreads }),
  'a second memory': async () => {
    const device = await createWasmDevice({ activations: 'int8', segmentWeights: 1000 });
    // The home segment is full with this, so that what follows lies elsewhere.
    device.placeWeight(randomWeights('f32', 8, 256, 1).source, 0);
    return device;
  },
  ...(blas ? { BLAS: () => createWasmDevice({ activations: 'int8', blas }) } : {}),
  ...(blas && typeof native !== 'string'
    ? { 'BLAS beside machine code': () => createWasmDevice({ activations: 'int8', blas, native }) }
    : {}),
};

/** The second has more rows than are packed at a time. */
const shapes = [
  [5, 43, 256],
  [5, 1100, 32],
] as const;
type Shape = (typeof shapes)[number];

/** A linear layer and a loss over frozen weights of a type: the outputs and the gradients of what lies below them. */
async function results(device: Device, dtype: (typeof weightTypes)[number], [N, O, I]: Shape): Promise<Float64Array[]> {
  const mark = device.mark();
  const w = device.placeWeight(randomWeights(dtype, O, I, 3).source, 1);
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
  const reading = Promise.all(
    [y, losses, ...gradients.map(({ tensor }) => tensor)].map((tensor) => readDoubles(device, tensor)),
  );
  device.release(mark);
  return reading;
}

for (const [name, create] of Object.entries(devices)) {
  test(`frozen weights of every type, ${name}: exact products, gradients and losses agree with the reference`, async () => {
    const device = await create();
    const reference = createReferenceDevice();
    const cases = shapes.flatMap((shape) => weightTypes.map((dtype) => [dtype, shape] as const));
    for (const [dtype, shape] of cases) {
      if (shape[2] % dtypes[dtype].blockWeights !== 0) continue;
      const [actual, expected] = [await results(device, dtype, shape), await results(reference, dtype, shape)];
      for (const [i, numbers] of expected.entries()) {
        const scale = numbers.reduce((most, x) => Math.max(most, Math.abs(x)), 0);
        ok(scale > 0, `${dtype}: result ${i} is all zeros`);
        assertClose(`${dtype}, result ${i}`, actual[i]!, numbers, {
          atol: 4e-6 * scale,
        });
      }
    }
    device.close();
  });
}

test('thin layers (an adapter’s) beside a BLAS: outputs and gradients agree with the reference', async () => {
  const [N, I, R] = [70, 96, 16];
  const both = async (device: Device): Promise<Float64Array[]> => {
    const [x, a, dLow] = [
      fromFloats(device, randomFloats(N * I, 1), [N, I]),
      fromFloats(device, randomFloats(R * I, 2), [R, I]),
      fromFloats(device, randomFloats(N * R, 3), [N, R]),
    ];
    const [dx, dA] = [x, a].map(({ shape }): Gradient => {
      const values = new Float32Array(shape[0]! * shape[1]!).fill(0.5);
      return { tensor: fromFloats(device, values, shape), isEmpty: false };
    });
    const low = device.ops.linearExact(x, a);
    device.backward.linear(dx!, dA!, null, dLow, x, a);
    // The other way round: many outputs of few inputs.
    const dB: Gradient = { tensor: fromFloats(device, new Float32Array(I * R), [I, R]), isEmpty: true };
    const b = fromFloats(device, randomFloats(I * R, 4), [I, R]);
    const dy = fromFloats(device, randomFloats(N * I, 5), [N, I]);
    device.backward.linear(null, dB, null, dy, dLow, b);
    return Promise.all([low, dx!.tensor, dA!.tensor, dB.tensor].map((tensor) => readDoubles(device, tensor)));
  };
  const expected = await both(createReferenceDevice());
  for (const device of [
    await createWasmDevice(),
    await createWasmDevice({ blas, native: typeof native === 'string' ? null : native }),
  ]) {
    for (const [i, numbers] of (await both(device)).entries())
      assertClose(`result ${i}`, numbers, expected[i]!, { rtol: 1e-5, atol: 1e-4 });
    device.close();
  }
});
