import { deepStrictEqual, ok, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { countingGpu } from '../../../test/support/counting-gpu.ts';
import { submit, tinyEngine } from '../../../test/support/tiny-model.ts';
import { createWebGpuDevice } from '../../devices/webgpu/device.ts';
import { rehearse } from './rehearsal.ts';

/** Kernels that steps of a prompt, of a token, and of several sequences wait for. */
async function compiledInSteps(isRehearsed: boolean) {
  const counting = countingGpu();
  const device = await createWebGpuDevice(counting);
  const engine = tinyEngine(device);
  const progress: number[][] = [];
  if (isRehearsed) await rehearse(engine, (done, total) => progress.push([done, total]));
  const { dispatches } = device.counts;
  const prompts = [70, 9, 3].map((length) => Uint32Array.from({ length }, (_, i) => i % 90));
  for (const prompt of prompts) submit(engine, prompt, { maxTokens: 3, temperature: 0 });
  while (await engine.step());
  return { compiled: counting.compiledNow(), dispatches, progress };
}

test('after a rehearsal no step waits for a kernel; a rehearsal computes nothing, and tells of what is compiled', async () => {
  ok((await compiledInSteps(false)).compiled > 10);
  const { compiled, dispatches, progress } = await compiledInSteps(true);
  strictEqual(compiled, 0);
  strictEqual(dispatches, 0);
  const total = progress.length;
  deepStrictEqual(
    progress,
    progress.map((_, i) => [i + 1, total]),
  );
});
