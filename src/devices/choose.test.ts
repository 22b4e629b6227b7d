import { deepStrictEqual, match, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import { countingGpu } from '../../test/support/counting-gpu.ts';
import { chooseDevice } from './choose.ts';
import type { Device } from './device.ts';
import { createWasmDevice } from './wasm/device.ts';
import { createWebGpuDevice, type WebGpuDevice } from './webgpu/device.ts';

/** Milliseconds as the devices' reads let them pass. */
let time = 0;
const clock = () => time;

/** The wasm device, of which a read takes so long. */
async function taking(milliseconds: number): Promise<Device> {
  const device = await createWasmDevice({ threads: 1 });
  const read: Device['read'] = (...what) => {
    time += milliseconds;
    return device.read(...what);
  };
  return { ...device, read };
}

const gpu = async (milliseconds: number, isSoftware = false) =>
  ({ ...(await taking(milliseconds)), adapterName: 'a card', isSoftware }) as unknown as WebGpuDevice;

test('the device that reads weights clearly faster is chosen, and both rates are told', async () => {
  const openWasm = () => taking(100);
  for (const [milliseconds, device] of [
    [40, 'webgpu'],
    [90, 'wasm'],
  ] as const) {
    const choice = await chooseDevice({ openGpu: () => gpu(milliseconds), openWasm, clock });
    strictEqual(choice.device, device, choice.why);
    match(choice.why, /^a card reads weights at \d+\.\d GB\/s, wasm at 1\.4 GB\/s$/);
  }
});

test('no GPU, a software adapter, and one that computes wrong numbers: wasm, and why', async () => {
  const openWasm = () => taking(100);
  const openGpu = () => Promise.reject(new Error('none here'));
  deepStrictEqual(await chooseDevice({ openGpu, openWasm, clock }), { device: 'wasm', why: 'none here' });
  const software = await chooseDevice({ openGpu: () => gpu(1, true), openWasm, clock });
  deepStrictEqual(software, { device: 'wasm', why: 'a card is a software adapter' });
  const wrong = await chooseDevice({ openGpu: () => createWebGpuDevice(countingGpu()), openWasm, clock });
  strictEqual(wrong.device, 'wasm');
  match(wrong.why, /a GPU that only counts computes wrong numbers: add/);
});
