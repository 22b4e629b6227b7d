/** The self-test of a GPU, asked of the tests' software adapter: joined kernels are met, and wrong ones are named. */
import { ok, rejects } from 'node:assert/strict';
import { test } from 'node:test';
import { noGpu, testDevice, testGpu } from '../../../test/support/webgpu.ts';
import { selfTest } from './self-test.ts';

const skip = (await testGpu()) ? false : noGpu;

test('all kernels of a type, those that are joined too, agree with the reference; a wrong joined one is named', {
  skip,
}, async () => {
  const device = await testDevice();
  const asGpu = { ...device, isSoftware: false };
  await selfTest(asGpu, { types: ['Q8_0'] });
  const names = [...device.counts.kernels.keys()].filter((name) => name.startsWith('linear'));
  for (const joined of [/norm add/, /norm and Q8_0 silu/, /whole add/])
    ok(
      names.some((name) => joined.test(name)),
      names.join('; '),
    );
  const wrong = {
    ...asGpu,
    keep: (...words: Parameters<typeof device.keep>) => {
      const [y] = device.keep(...words);
      device.fill(y!, 7);
      return [y!];
    },
  };
  await rejects(selfTest(wrong, { types: ['Q8_0'] }), /computes wrong numbers: joined Q8_0 \(7, expected/);
});
