/** The devices that every golden case and every law is checked on. */
import type { Device } from '../../src/devices/device.ts';
import { createReferenceDevice } from '../../src/devices/reference/device.ts';
import { createWasmDevice } from '../../src/devices/wasm/device.ts';
import { nodeThreads } from '../../src/platform/node/threads.ts';

export const testDevices: readonly { readonly name: string; readonly create: () => Device | Promise<Device> }[] = [
  { name: 'reference', create: createReferenceDevice },
  { name: 'wasm', create: () => createWasmDevice() },
  { name: 'wasm without relaxed SIMD', create: () => createWasmDevice({ simd: 'plain' }) },
  { name: 'wasm on 2 threads', create: () => createWasmDevice({ threads: 2, host: nodeThreads }) },
];
