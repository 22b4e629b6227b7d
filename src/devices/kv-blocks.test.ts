/** Blocks of a cache leave a device as bytes, and come back as what they were. */
import { deepStrictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { sameBitsDevices } from '../../test/support/devices.ts';
import { noGpu, testDevice, testGpu } from '../../test/support/webgpu.ts';
import { KV_BLOCK_TOKENS, kvTypes } from '../kernels/ops.ts';
import { type Device, fromFloats } from './device.ts';
import { randomFloats } from './wasm/testing.ts';

const [layerCount, kvHeadCount, headSize, T] = [2, 2, 40, KV_BLOCK_TOKENS];
const P = kvHeadCount * headSize;

async function check(device: Device): Promise<void> {
  for (const type of kvTypes) {
    const make = () => device.createKvStore({ layerCount, blockCount: 3, kvHeadCount, headSize, type });
    const [store, other] = [make(), make()];
    const batchIn = (block: number) => ({
      ids: new Uint32Array(T),
      positions: new Uint32Array(T),
      spans: [{ firstRow: 0, rowCount: T, firstPosition: 0, blocks: Uint32Array.of(block) }],
    });
    const attend = async (from: typeof store, block: number, layer: number) => {
      const q_NQ = fromFloats(device, randomFloats(T * P, 7), [T, P]);
      const options = { headSize, window: null };
      return [...(await device.read(device.ops.attention(q_NQ, { store: from, layer }, batchIn(block), options)))];
    };
    for (let layer = 0; layer < layerCount; layer++) {
      const [k, v] = [1, 2].map((seed) => fromFloats(device, randomFloats(T * P, 10 * layer + seed), [T, P]));
      device.ops.appendToCache({ store, layer }, k!, v!, batchIn(1));
    }
    device.writeKvBlock(other, 2, await device.readKvBlock(store, 1));
    for (let layer = 0; layer < layerCount; layer++) {
      deepStrictEqual(await attend(other, 2, layer), await attend(store, 1, layer), `${type}, layer ${layer}`);
    }
  }
}

for (const { name, create } of sameBitsDevices) {
  test(`blocks of every kv type, out of one store and into another, on ${name}`, async () => {
    const device = await create();
    await check(device);
    device.close();
  });
}

test(
  'blocks of every kv type, out of one store and into another, on webgpu',
  {
    skip: (await testGpu()) ? false : noGpu,
  },
  async () => check(await testDevice()),
);
