/** What a token costs, counted on a GPU that computes nothing; and a device that goes away. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { countingGpu } from '../../../test/support/counting-gpu.ts';
import { type LlamaConfig, paperChoices } from '../../model/config.ts';
import { forward, keepOutputs } from '../../model/llama.ts';
import { loadModel } from '../../model/model.ts';
import { randomWeights } from '../../model/random-weights.ts';
import { fromFloats } from '../device.ts';
import { createWebGpuDevice } from './device.ts';
import { storedBytes } from './weights.ts';

/** The shape of a 1.1B model, with few blocks and words. */
const shape = (blockCount: number): LlamaConfig => ({
  ...paperChoices,
  width: 2048,
  blockCount,
  headCount: 32,
  kvHeadCount: 4,
  headSize: 64,
  ffnWidth: 5632,
  vocabSize: 320,
  contextLength: 2048,
  normEps: 1e-5,
  ropeTheta: 10000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: false,
  attentionBias: false,
  slidingWindow: null,
});

const POSITION = 511;

/** Decodes a token behind POSITION others, `times` times over. */
async function decode(blockCount: number, times: number, dtype: 'Q4_0' | 'f16' = 'Q4_0') {
  const device = await createWebGpuDevice(countingGpu());
  const config = shape(blockCount);
  const sources = randomWeights(config, 1, ({ shape: { length } }) => (length === 1 ? 'f32' : dtype));
  const model = loadModel(device, config, sources);
  const { kvHeadCount, headSize } = config;
  const store = device.createKvStore({ layerCount: blockCount, blockCount: 64, kvHeadCount, headSize, type: 'f16' });
  const blocks = Uint32Array.from({ length: 64 }, (_, i) => i);
  const made: number[] = [];
  for (let i = 0; i < times; i++) {
    const before = device.counts.made;
    const span = { firstRow: 0, rowCount: 1, firstPosition: POSITION, blocks };
    const batch = { ids: Uint32Array.of(7), positions: Uint32Array.of(POSITION), spans: [span] };
    const mark = device.mark();
    const reading = device.read(forward(model, device.ops, batch, { cache: store, segment: keepOutputs(device) }));
    device.release(mark);
    await reading;
    made.push(device.counts.made - before);
  }
  const bytes = [...device.counts.kernels.values()].reduce((sum, kernel) => sum + kernel.bytes, 0);
  const weights = [...sources].reduce(
    (sum, [name, source]) => sum + (name.startsWith('blocks.') ? storedBytes(source) : 0),
    0,
  );
  return {
    dispatches: device.counts.dispatches / times,
    submissions: device.counts.submissions,
    bytes: bytes / times,
    weights,
    made,
  };
}

test('a token of the 1.1B shape: 8 dispatches a block, and hardly more bytes than its weights and its cache', async () => {
  for (const dtype of ['Q4_0', 'f16'] as const) {
    const [one, two] = [await decode(1, 1, dtype), await decode(2, 1, dtype)];
    strictEqual(two.dispatches - one.dispatches, 8);
    const cache = 2 * (POSITION + 1) * 4 * 64 * 2;
    const least = two.weights - one.weights + cache;
    const share = (two.bytes - one.bytes) / least;
    ok(share <= 1.05 && share >= 1, `${dtype}: ${share} of the bytes of weights and cache`);
  }
});

test("from a step's second time on nothing is made: no buffer, no bind group, no pipeline; and a token is one submission", async () => {
  const { made, submissions } = await decode(1, 4);
  ok(made[0]! > 0);
  deepStrictEqual(made.slice(1), [0, 0, 0]);
  strictEqual(submissions, 4);
});

test('a product that would hold a slow GPU for long is cut; once the GPU was measured to be fast, it is not', async () => {
  let time = 0;
  const device = await createWebGpuDevice({ ...countingGpu(), clock: () => time++ });
  const [x, w] = [device.scratch([512, 2048]), device.scratch([5632, 2048])];
  const dispatches: number[] = [];
  for (let i = 0; i < 2; i++) {
    const before = device.counts.dispatches;
    await device.read(device.ops.linear(x, w), 0, 1);
    dispatches.push(device.counts.dispatches - before);
  }
  deepStrictEqual(dispatches, [8, 1]);
});

test('a device that is lost in mid-answer fails what waits, says so once, and a new one works', async () => {
  const { gpu, lose } = countingGpu();
  const device = await createWebGpuDevice({ gpu });
  const x = fromFloats(device, [1, 2], [1, 2]);
  const waiting = device.read(device.ops.add(x, x));
  lose('the driver was reset');
  await rejects(waiting, { code: 'webgpu.lost' });
  await rejects(device.read(x), (error: Error) => {
    match(
      error.message,
      /the device was lost \(the driver was reset\), expected .* Load the model again; .* use device "wasm"/,
    );
    return true;
  });
  const again = await createWebGpuDevice({ gpu });
  const y = fromFloats(again, [1, 2], [1, 2]);
  strictEqual((await again.read(again.ops.add(y, y))).length, 2);
});
