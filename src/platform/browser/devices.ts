import { UnsupportedError } from '../../base/errors.ts';
import type { Device } from '../../devices/device.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import { createWasmDevice } from '../../devices/wasm/device.ts';
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

/** Browsers tell hyperthreads, not cores, and half of them is the better guess from two cores on. */
function likelyCores(): number {
  const threads = navigator.hardwareConcurrency ?? 1;
  return threads <= 2 ? threads : Math.ceil(threads / 2);
}
