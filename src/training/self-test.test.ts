import { rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { noGpu, testDevice, testGpu } from '../../test/support/webgpu.ts';
import { createReferenceDevice } from '../devices/reference/device.ts';
import { createWasmDevice } from '../devices/wasm/device.ts';
import { trainingSelfTest } from './self-test.ts';

test('a step of training on a GPU has the gradients and the updates of the reference', {
  skip: (await testGpu()) ? false : noGpu,
}, async () => {
  await trainingSelfTest(await testDevice());
});

test('wasm passes; a device with one wrong gradient is refused, and the gradient is named', async () => {
  await trainingSelfTest(await createWasmDevice({ threads: 1 }));
  const right = createReferenceDevice();
  const { backward } = right;
  const wrong = {
    ...right,
    description: 'a driver that lies',
    backward: {
      ...backward,
      swiglu: (...[, ...others]: Parameters<typeof backward.swiglu>) => backward.swiglu(null, ...others),
    },
  };
  await rejects(trainingSelfTest(wrong), {
    code: 'webgpu.wrong-numbers',
    message: /^a driver that lies: computes wrong numbers in training: .*gradient of .*use device "wasm"/,
  });
});
