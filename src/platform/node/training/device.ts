import type { Device } from '../../../devices/device.ts';
import { createWasmDevice } from '../../../devices/wasm/device.ts';
import type { Blas } from '../../../kernels/gemm/blas.ts';
import { nodeThreads } from '../threads.ts';
import { compileForThisMachine } from '../wide-kernels.ts';

/** The wasm device for training on this machine; `blas` does its matrix products. */
export async function createTrainingDevice(threads: number, revectorize: boolean, blas: Blas | null): Promise<Device> {
  const compiled = await compileForThisMachine({ threads, revectorize, blas: null, training: true });
  const note = blas ? `${compiled.note}, matrix products by ${blas.description}` : compiled.note;
  return createWasmDevice({ threads, host: nodeThreads, ...compiled, blas, note });
}
