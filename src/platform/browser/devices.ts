import { UnsupportedError } from '../../base/errors.ts';
import type { Device } from '../../devices/device.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import { createWasmDevice } from '../../devices/wasm/device.ts';
import { createWebGpuDevice } from '../../devices/webgpu/device.ts';
import type { LoadSettings } from '../../inference/remote/protocol.ts';
import { createOnThreads } from '../threads-or-one.ts';
import { browserThreads, canShareMemory } from './threads.ts';

/** The device that a model is to run on; 'auto' is 'wasm'. Without cross-origin isolation it has one thread, and says so. */
export async function createDevice({ device, threads, blas, segmentBytes }: LoadSettings): Promise<Device> {
  if (blas) {
    throw new UnsupportedError(
      'load.blas',
      'load: blas needs Node, expected blas: false in a browser. Leave the option out.',
    );
  }
  if (device === 'reference') return createReferenceDevice();
  if (device === 'webgpu')
    return createWebGpuDevice({ gpu: gpuOfThisPage(), warn: (message) => console.warn(`cria: ${message}`) });
  const segmentWeights = segmentBytes ?? undefined;
  const clock = () => performance.now();
  const warn = (message: string) => console.warn(`cria: ${message}`);
  if (canShareMemory()) {
    return createOnThreads({ threads: threads ?? likelyCores(), host: browserThreads, segmentWeights, clock }, warn);
  }
  const note = 'the page is not cross-origin isolated, so no more threads';
  if (threads !== null && threads > 1) {
    warn(`${threads} threads were asked for, and ${note}. The model runs on one thread.`);
  }
  return createWasmDevice({ threads: 1, segmentWeights, clock, note });
}

/** Throws UnsupportedError `webgpu.browser`. */
function gpuOfThisPage(): GPU {
  if (navigator.gpu) return navigator.gpu;
  throw new UnsupportedError(
    'webgpu.browser',
    'webgpu: this browser or page does not offer it, expected navigator.gpu in a worker. ' +
      'It needs https or localhost, and a browser that has it (Chrome on Linux may want --enable-unsafe-webgpu). Or use device "wasm".',
  );
}

/** Browsers tell hyperthreads, not cores, and half of them is the better guess from two cores on. */
function likelyCores(): number {
  const threads = navigator.hardwareConcurrency ?? 1;
  return threads <= 2 ? threads : Math.ceil(threads / 2);
}
