/** A real adapter's device that is taken away in mid-answer: one clear error for every call, and the next load works. */
import { test } from 'node:test';
import { openAdapterSource, openSource } from '../../src/platform/node/engine/sources.ts';
import { goldenPath } from '../support/golden.ts';
import { checkHeard, loseInMidAnswer } from '../support/losing-gpu.ts';
import { noGpu, testGpu } from '../support/webgpu.ts';

const gpu = await testGpu();

test('a device that is lost in mid-answer ends it with one clear error; loaded again, the model answers as before', {
  skip: gpu ? false : noGpu,
}, async () => {
  const source = { kind: 'path', path: goldenPath('forward/gqa') } as const;
  checkHeard(await loseInMidAnswer(gpu!, source, { openSource, openAdapter: openAdapterSource }));
});
