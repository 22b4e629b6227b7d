import { UnsupportedError } from '../../../base/errors.ts';
import { isOfGpu } from '../../../devices/choose.ts';
import type { Device } from '../../../devices/device.ts';
import { createReferenceDevice } from '../../../devices/reference/device.ts';
import { createWebGpuDevice } from '../../../devices/webgpu/device.ts';
import type { LoadSettings } from '../../../inference/remote/protocol.ts';
import { createOnThreads } from '../../threads-or-one.ts';
import { autoDevice, forgetChoice } from '../auto-device.ts';
import { createGpu } from '../gpu.ts';
import { describeMachine } from '../machine.ts';
import { blasProblem } from '../native/blas.ts';
import { measureBlasRows, sayBlasRows } from '../native/blas-rows.ts';
import { loadProducts } from '../native/products.ts';
import { nativeForThisMachine } from '../native-kernels.ts';
import { nodeThreads } from '../threads.ts';
import { warn } from '../warnings.ts';
import { kernelsForThisMachine } from '../wide-kernels.ts';
import { hugePages } from './huge-pages.ts';

/** The device that a model is to run on; 'auto' is what was measured to be faster (auto-device.ts). A BLAS is wasm's. */
export async function createDevice({
  device: wanted,
  threads,
  blas,
  revectorize,
  native: wantsNative,
  segmentBytes,
}: LoadSettings): Promise<Device> {
  const device = wanted === 'auto' && !blas ? (await autoDevice()).device : wanted;
  if (device === 'reference' || device === 'webgpu') {
    if (!blas) return device === 'reference' ? createReferenceDevice() : openGpuDevice(wanted === 'auto');
    throw new UnsupportedError(
      'load.blas',
      `load: the ${device} device does not use a BLAS, expected blas: false. Leave the option out, or use the wasm device.`,
    );
  }
  const library = blas ? loadProducts(['f32', 'bf16']) : null;
  if (blas && library === null) {
    throw new UnsupportedError(
      'load.blas',
      `load: blas is asked for, but not to be had: ${blasProblem()}. Leave the option out, or install one (apt install libopenblas0-pthread).`,
    );
  }
  const count = threads ?? describeMachine().physicalCores;
  const compiled = kernelsForThisMachine({ threads: count, revectorize, blas: library, training: false });
  const native = nativeForThisMachine(compiled.kernels, wantsNative);
  const common = {
    threads: count,
    native: native.kernels,
    host: nodeThreads,
    segmentWeights: segmentBytes ?? undefined,
    prepareMemory: hugePages(),
    clock: () => performance.now(),
    ...compiled,
    note: [compiled.note, native.note].filter(Boolean).join(', '),
  };
  if (library === null) return createOnThreads(common, warn);
  const blasRows = await measureBlasRows(library, compiled.kernels, native.kernels);
  const note = `${common.note}; by ${library.description}: ${sayBlasRows(blasRows)}`;
  return createOnThreads({ ...common, blas: library, blasRows, note }, warn);
}

async function openGpuDevice(isRemembered: boolean): Promise<Device> {
  try {
    return await createWebGpuDevice({ gpu: await createGpu(), clock: () => performance.now(), warn });
  } catch (error) {
    if (isRemembered) forgetChoice();
    throw error;
  }
}

/** The device, once `prepare` is done with it; where 'auto' chose a GPU that cannot be used, wasm, and why is told. */
export async function createPrepared(
  settings: LoadSettings,
  tell: (message: string) => void,
  prepare: (device: Device) => Promise<void>,
): Promise<Device> {
  let device: Device | null = null;
  try {
    device = await createDevice(settings);
    await prepare(device);
    return device;
  } catch (error) {
    device?.close();
    if (settings.device !== 'auto' || !isOfGpu(error)) throw error;
    tell(`${error.message} So it runs on wasm.`);
    return createPrepared({ ...settings, device: 'wasm' }, tell, prepare);
  }
}
