/** A GPU without room for a model and its cache says so before a weight is read. */
import { ok, rejects, strictEqual } from 'node:assert/strict';
import { after, test } from 'node:test';
import { noGpu, testGpu } from '../../../test/support/webgpu.ts';
import { randomWeights } from '../wasm/testing.ts';
import { createWebGpuDevice } from './device.ts';

const skip = (await testGpu()) ? false : noGpu;

/** The GPU of the tests, whose devices report that their memory is full from `room` bytes on. */
async function small(room: number): Promise<GPU> {
  const gpu = (await testGpu())!;
  const requestAdapter: GPU['requestAdapter'] = async (options) => {
    const adapter = (await gpu.requestAdapter(options))!;
    const { features, limits, info } = adapter;
    const requestDevice = async (wanted?: GPUDeviceDescriptor) => {
      const device = await adapter.requestDevice(wanted);
      let taken = 0;
      const create = device.createBuffer.bind(device);
      device.createBuffer = (buffer) => {
        taken += buffer.size;
        return create(buffer);
      };
      const pop = device.popErrorScope.bind(device);
      device.popErrorScope = async () => (await pop()) ?? (taken > room ? ({ message: 'full' } as GPUError) : null);
      return device;
    };
    return { features, limits, info, requestDevice } as unknown as GPUAdapter;
  };
  return { wgslLanguageFeatures: gpu.wgslLanguageFeatures, requestAdapter } as unknown as GPU;
}

test('the weights alone have room, with the cache they have not: no weight was read', { skip }, async () => {
  const device = await createWebGpuDevice({ gpu: await small(32 * 2 ** 20) });
  after(() => device.close());
  let isRead = false;
  const { source } = randomWeights('f32', 64, 64, 1);
  const watched = {
    ...source,
    readRows: (...words: Parameters<typeof source.readRows>) => {
      isRead = true;
      source.readRows(...words);
    },
  };
  const cache = (blockCount: number) =>
    ({ layerCount: 2, blockCount, kvHeadCount: 4, headSize: 64, type: 'f32' }) as const;
  // 2 layers × 2 × 1,024 blocks × 32 positions × 4 heads × 64 numbers × 4 bytes
  await rejects(
    device.prepare!([[watched, 0]], cache(1024)),
    /the weights, 16384 bytes, and the cache, 134217728 bytes, do not fit .*a shorter context/,
  );
  strictEqual(isRead, false);

  const other = await createWebGpuDevice({ gpu: await small(32 * 2 ** 20) });
  after(() => other.close());
  await other.prepare!([[source, 0]], cache(8));
  const before = other.memory().cache;
  const store = other.createKvStore(cache(8));
  ok(before >= 2 ** 20);
  strictEqual(other.memory().cache, before, 'the cache that there is room for is the one that is given out');
  ok(other.createKvStore(cache(8)) !== store, 'another is another');
});
