/** The devices that every golden case and every law is checked on. */
import type { Device } from '../../src/devices/device.ts';
import { createReferenceDevice } from '../../src/devices/reference/device.ts';
import { createWasmDevice } from '../../src/devices/wasm/device.ts';
import { loadBlas } from '../../src/platform/node/native/blas.ts';
import { nodeThreads } from '../../src/platform/node/threads.ts';

const blas = loadBlas();

export const testDevices: readonly { readonly name: string; readonly create: () => Device | Promise<Device> }[] = [
  { name: 'reference', create: createReferenceDevice },
  { name: 'wasm', create: () => createWasmDevice() },
  { name: 'wasm without relaxed SIMD', create: () => createWasmDevice({ simd: 'plain' }) },
  { name: 'wasm on 2 threads', create: () => createWasmDevice({ threads: 2, host: nodeThreads }) },
  // Where there is no BLAS, src/devices/wasm/linear-blas.test.ts is skipped aloud.
  ...(blas
    ? [
        {
          name: 'wasm with BLAS on 2 threads',
          create: () => createWasmDevice({ threads: 2, host: nodeThreads, blas, blasRows: () => 2 }),
        },
      ]
    : []),
];

/** Those that promise the same bits however work is cut: a system BLAS does not. */
export const sameBitsDevices = testDevices.filter(({ name }) => !name.includes('BLAS'));
