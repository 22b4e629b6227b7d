import { match, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { countingGpu } from '../../../test/support/counting-gpu.ts';
import { createWebGpuDevice } from '../../devices/webgpu/device.ts';
import { loadModel } from '../../model/model.ts';
import { presets } from '../../model/presets.ts';
import { randomWeights } from '../../model/random-weights.ts';
import { countTests, describeCounts } from './gpu-counts.ts';

test('what is counted of a token: two operations a weight and four a number of the keys it sees; a prompt is shared out', async () => {
  const device = await createWebGpuDevice(countingGpu());
  const config = presets['stories-260k'];
  const model = loadModel(
    device,
    config,
    randomWeights(config, 1, () => 'f32'),
  );
  const tests = [
    { prompt: 0, generate: 3, depth: 60, sequences: 1 },
    { prompt: 10, generate: 0, depth: 0, sequences: 1 },
  ];
  const [token, prompt] = await countTests(device, model, tests, { kvType: 'f16', batchTokens: 8 });
  const block = 64 * (64 + 32 + 32 + 64 + 3 * 172);
  const head = 512 * 64;
  strictEqual(token!.flops_per_token, 2 * (5 * block + head) + 5 * 4 * 64 * 64);
  strictEqual(token!.dispatches_per_token, 5 * 7 + 4);
  strictEqual(prompt!.flops_per_token, 2 * 5 * block + (2 * head) / 8 + (5 * 4 * 36 * 64) / 8);
  strictEqual(token!.gpu_ns_per_token, null);
  match(
    describeCounts(tests[0]!, token!),
    /^tg3 @ d60, the last token that is generated: 39 dispatches, .*FLOP\n\n\| k/,
  );
});
