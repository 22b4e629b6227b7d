import { UnsupportedError } from '../../base/errors.ts';
import { type Choice, chooseDevice } from '../../devices/choose.ts';
import type { Device } from '../../devices/device.ts';
import { createReferenceDevice } from '../../devices/reference/device.ts';
import { createWasmDevice } from '../../devices/wasm/device.ts';
import { createWebGpuDevice } from '../../devices/webgpu/device.ts';
import type { LoadSettings } from '../../inference/remote/protocol.ts';
import { createOnThreads } from '../threads-or-one.ts';
import { browserThreads, canShareMemory } from './threads.ts';

/**
 * The device that a model is to run on; 'auto' is what was measured to be faster. Without cross-origin isolation wasm has one thread, and
 * says so.
 */
export async function createDevice(settings: LoadSettings): Promise<Device> {
  const { threads, blas, segmentBytes } = settings;
  if (blas) {
    throw new UnsupportedError(
      'load.blas',
      'load: blas needs Node, expected blas: false in a browser. Leave the option out.',
    );
  }
  const device = settings.device === 'auto' ? await autoDevice(settings) : settings.device;
  if (device === 'reference') return createReferenceDevice();
  if (device === 'webgpu')
    return createWebGpuDevice({
      gpu: gpuOfThisPage(),
      clock: () => performance.now(),
      pause: pauseHere(),
      warn: (message) => console.warn(`cria: ${message}`),
    });
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

/** What `auto` means in this browser: measured once, and remembered with the site's other data. */
async function autoDevice(settings: LoadSettings): Promise<Choice['device']> {
  const gpu = navigator.gpu;
  const adapter = gpu && (await gpu.requestAdapter({ powerPreference: 'high-performance' }));
  if (!adapter) return 'wasm';
  const { vendor, architecture, device, description } = adapter.info;
  const threads = canShareMemory() ? (settings.threads ?? likelyCores()) : 1;
  const key = [vendor, architecture, device, description, threads, navigator.userAgent].join(' ');
  const known = await remembered(key);
  if (known) return known.device;
  const choice = await chooseDevice({
    openGpu: () => createWebGpuDevice({ gpu, pause: pauseHere() }),
    openWasm: () => createDevice({ ...settings, device: 'wasm' }),
    clock: () => performance.now(),
  });
  await remember({ key, ...choice });
  return choice.device;
}

/** Not every page may keep data: there it is measured each time. */
const PLACE = 'https://cria.invalid/device';

async function remembered(key: string): Promise<Choice | null> {
  try {
    const found = await (await (await caches.open('cria')).match(PLACE))?.json();
    return found?.key === key && (found.device === 'wasm' || found.device === 'webgpu') ? found : null;
  } catch {
    return null;
  }
}

async function remember(content: object): Promise<void> {
  try {
    await (await caches.open('cria')).put(PLACE, new Response(JSON.stringify(content)));
  } catch {}
}

/** Firefox must be asked whether its GPU is done (mapForReading); asked without any wait it comes to nothing else. */
function pauseHere(): (() => Promise<void>) | undefined {
  const isFirefox = /\bFirefox\//.test(navigator.userAgent);
  return isFirefox ? () => new Promise((resolve) => setTimeout(resolve, 1)) : undefined;
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
