import { ok } from 'node:assert/strict';
import { test } from 'node:test';
import { assertClose } from '../../../test/support/close.ts';
import type { Gradient } from '../../kernels/backward-ops.ts';
import { loadBlas } from '../../platform/node/native/blas.ts';
import { nodeThreads } from '../../platform/node/threads.ts';
import { dtypes, weightTypes } from '../../tensor/dtype.ts';
import { type Device, fromFloats, readDoubles } from '../device.ts';
import { createReferenceDevice } from '../reference/device.ts';
import { createWasmDevice } from './device.ts';
import { randomFloats, randomWeights } from './testing.ts';

const blas = loadBlas();
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
