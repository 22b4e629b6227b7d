import { UnsupportedError } from '../../../base/errors.ts';
import { isOfGpu } from '../../../devices/choose.ts';
import type { Device, DeviceKind } from '../../../devices/device.ts';
import { createReferenceDevice } from '../../../devices/reference/device.ts';
import { createWasmDevice } from '../../../devices/wasm/device.ts';
import { createWebGpuDevice } from '../../../devices/webgpu/device.ts';
import { hasWideProducts } from '../../../kernels/native/kernels.ts';
import { trainingSelfTest } from '../../../training/self-test.ts';
import { autoDevice, forgetChoice } from '../auto-device.ts';
import { createGpu } from '../gpu.ts';
import { blasProblem } from '../native/blas.ts';
import { loadProducts, needBf16 } from '../native/products.ts';
import { nativeForThisMachine } from '../native-kernels.ts';
import { nodeThreads } from '../threads.ts';
import { kernelsForThisMachine } from '../wide-kernels.ts';

/** What trains. */
export interface TrainingMachine {
  /** What 'auto' means: deviceOfRun. */
  readonly device: 'auto' | DeviceKind;
  /** Of the wasm device. */
  readonly threads: number;
  /** Matrix products of the wasm device by a BLAS, where one is installed. */
  readonly blas: boolean;
  readonly revectorize: boolean;
  /** Machine code where this processor has some of ours, with the same bits; unless false. */
  readonly native?: boolean;
}

export interface TrainingDevice {
  readonly device: Device;
  /** What the bits of a step depend on, besides the step: what is not here changes nothing. */
  readonly bits: Readonly<Record<string, string>>;
}

/** The device for training on this machine. Throws UnsupportedError `training.products`, `webgpu.…`. */
export async function createTrainingDevice(
  { device, threads, blas, revectorize, native: wantsNative = true }: TrainingMachine & { readonly device: DeviceKind },
  products: 'f32' | 'bf16',
  tell: (message: string) => void,
): Promise<TrainingDevice> {
  if (device === 'webgpu' || device === 'reference') {
    if (products === 'bf16') {
      throw new UnsupportedError(
        'training.products',
        `training.products is bf16: expected the wasm device, which has a system library for it, found ${device}. Train with training.products=f32.`,
      );
    }
    if (device === 'reference') return { device: createReferenceDevice(), bits: { device } };
    const gpu = await createWebGpuDevice({ gpu: await createGpu(), clock: () => performance.now(), warn: tell });
    await gpu.prepare?.([]);
    // Software adapters take seconds for a kernel, and the tests compare all of them there.
    if (!gpu.isSoftware) await trainingSelfTest(gpu);
    return { device: gpu, bits: { device: gpu.description } };
  }
  const library = products === 'bf16' ? needBf16() : blas ? loadProducts(['f32']) : null;
  if (blas && library === null) tell(`matrix products by our own kernels, not by a BLAS: ${blasProblem()}`);
  const compiled = kernelsForThisMachine({ threads, revectorize, blas: null, training: true });
  const native = nativeForThisMachine(compiled.kernels, wantsNative);
  const isShared = products === 'f32' && hasWideProducts(native.kernels);
  const by = library && `${library.description}${isShared ? ', thin and frozen ones by our own machine code' : ''}`;
  const bits = by
    ? { device: 'wasm', 'matrix products': by, threads: String(threads) }
    : { device: 'wasm', 'matrix products': 'our own kernels' };
  // A library's sums depend on the sizes of the tiles that each thread gives it; those of our kernels on the row alone.
  const note = library
    ? `${compiled.note}, matrix products by ${by}: the bits depend on the number of threads`
    : `${compiled.note}, the same bits with any number of threads`;
  const common = { threads, host: nodeThreads, ...compiled, native: native.kernels, blas: library };
  return { device: await createWasmDevice({ ...common, note: [note, native.note].filter(Boolean).join(', ') }), bits };
}

/** What is known of a run before it has a device. */
interface RunFacts {
  readonly products: 'f32' | 'bf16';
  readonly ranks: number;
  /** Of a run that goes on: what it began with (TrainingDevice.bits). */
  readonly began: Readonly<Record<string, string>> | undefined;
}

/** What 'auto' means for a run: the faster device as measured once, wasm where only that can do it, and for a run that goes on where it was. */
export async function deviceOfRun(
  wanted: TrainingMachine['device'],
  { products, ranks, began }: RunFacts,
  tell: (message: string) => void,
  measure: () => Promise<{ readonly device: DeviceKind; readonly why: string }> = autoDevice,
): Promise<DeviceKind> {
  if (wanted !== 'auto') return wanted;
  if (began !== undefined) return began.device?.startsWith('webgpu') ? 'webgpu' : 'wasm';
  if (products === 'bf16' || ranks > 1) return 'wasm';
  const { device, why } = await measure();
  if (device === 'webgpu') tell(`trains on the GPU: ${why}; with --device wasm it trains on the processor`);
  return device;
}

/** The device of a run; where 'auto' chose a GPU that cannot be used, wasm, and why is told. */
export async function createDeviceOfRun(
  machine: TrainingMachine,
  kind: DeviceKind,
  products: 'f32' | 'bf16',
  tell: (message: string) => void,
  tellFallback = tell,
): Promise<TrainingDevice> {
  try {
    return await createTrainingDevice({ ...machine, device: kind }, products, tell);
  } catch (error) {
    if (machine.device !== 'auto' || !isOfGpu(error)) throw error;
    forgetChoice();
    tellFallback(`${error.message} So it trains on wasm.`);
    return createTrainingDevice({ ...machine, device: 'wasm' }, products, tell);
  }
}
