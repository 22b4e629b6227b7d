/** What a token costs, counted on a GPU that computes nothing; and a device that goes away. */
import { deepStrictEqual, match, ok, rejects, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { countingGpu } from '../../../test/support/counting-gpu.ts';
import { type LlamaConfig, paperChoices } from '../../model/config.ts';
import { forward, keepOutputs } from '../../model/llama.ts';
import { loadModel } from '../../model/model.ts';
import { listParameters } from '../../model/parameters.ts';
import { rowBytes, type WeightType } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { columnCount, rowCount } from '../../tensor/tensor.ts';
import { fromFloats } from '../device.ts';
import { createWebGpuDevice } from './device.ts';

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

/** A model of zeros: what is counted depends on shapes and types alone. */
const zeros = (config: LlamaConfig, dtype: WeightType): Map<string, TensorSource> =>
  new Map(
    listParameters(config).map(({ name, shape }) => {
      const stored = shape.length === 1 ? 'f32' : dtype;
      return [name, { name, dtype: stored, shape, readRows: (target) => void target.fill(0) }];
    }),
  );

/** Of a quarter of the weights, which take their time to be laid out. */
const quarter: LlamaConfig = { ...shape(1), width: 1024, headCount: 16, ffnWidth: 2816 };

/** Decodes a token behind POSITION others, `times` times over. */
async function decode(config: LlamaConfig, times: number, dtype: WeightType = 'Q4_0') {
  const device = await createWebGpuDevice(countingGpu());
  const { blockCount } = config;
  const sources = zeros(config, dtype);
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
  // As they are stored in a file, so that a layout that grew would show.
  const weights = [...sources.values()].reduce(
    (sum, { name, dtype: type, shape: size }) =>
      sum + (name !== 'embed_VD' ? rowCount(size) * rowBytes(type, columnCount(size)) : 0),
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

/** Those that lie on a GPU as they are stored in a file; the others of weightTypes become f32 there. */
const kept = [
  'f32',
  'f16',
  'bf16',
  'Q8_0',
  'Q4_0',
  'Q4_1',
  'Q5_0',
  'Q5_1',
  'Q2_K',
  'Q3_K',
  'Q4_K',
  'Q5_K',
  'Q6_K',
] as const;

test('a token of the 1.1B shape: 8 dispatches a block, and hardly more bytes than its weights and its cache', async () => {
  const cache = 2 * (POSITION + 1) * 4 * 64 * 2;
  const [one, two] = [await decode(shape(1), 1), await decode(shape(2), 1)];
  strictEqual(two.dispatches - one.dispatches, 8);
  const inBounds = (what: string, share: number) =>
    ok(share <= 1.05 && share >= 1, `${what}: ${share} of the bytes of weights and cache`);
  inBounds('a block', (two.bytes - one.bytes) / (two.weights - one.weights + cache));
  for (const dtype of kept) {
    const { dispatches, bytes, weights } = await decode(quarter, 1, dtype);
    strictEqual(dispatches, one.dispatches, dtype);
    inBounds(dtype, bytes / (weights + cache));
  }
});

test("from a step's second time on nothing is made: no buffer, no bind group, no pipeline; and a token is one submission", async () => {
  const { made, submissions } = await decode(shape(1), 4);
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

test('an adapter that opens no device is named, with what it said', async () => {
  const { gpu } = countingGpu();
  const requestAdapter = async () => {
    const { features, limits, info } = (await gpu.requestAdapter())!;
    const requestDevice = () => Promise.reject(new Error('too many devices'));
    return { features, limits, info: { ...info, description: 'an old card' }, requestDevice };
  };
  const busy = { wgslLanguageFeatures: gpu.wgslLanguageFeatures, requestAdapter } as unknown as GPU;
  await rejects(createWebGpuDevice({ gpu: busy }), {
    code: 'webgpu.no-device',
    message: /^webgpu: an old card opens no device \(too many devices\), expected .* or use device "wasm"/,
  });
});

test('memory that runs out in mid-answer is called so, and says what takes less', async () => {
  class GPUOutOfMemoryError extends Error {}
  const { gpu, raise } = countingGpu();
  const device = await createWebGpuDevice({ gpu });
  const x = fromFloats(device, [1, 2], [1, 2]);
  raise(new GPUOutOfMemoryError('no room for 64 MiB'));
  await rejects(device.read(x), {
    code: 'webgpu.memory',
    message: /no memory left \(no room for 64 MiB\).*a shorter context/,
  });
});

test('weights of a type that no kernel reads become f32, and how much they grow is said', async () => {
  const told: string[] = [];
  const device = await createWebGpuDevice({ ...countingGpu(), warn: (message) => told.push(message) });
  const matrix = (dtype: WeightType): [TensorSource, null] => [
    { name: dtype, dtype, shape: [64, 1024], readRows: (target) => void target.fill(0) },
    null,
  ];
  // A GPU that only counts does not pass the self-test that follows.
  await rejects(device.prepare!([matrix('IQ4_XS'), matrix('Q4_K')]), { code: 'webgpu.wrong-numbers' });
  // 64 · 1,024 numbers of 4 bytes, and 256 blocks of 136 bytes
  deepStrictEqual(told, [
    'webgpu: weights in IQ4_XS are f32 on a GPU, 256.0 KiB for 34.0 KiB of the file. Other types, as Q4_K, stay as they are.',
  ]);
});
