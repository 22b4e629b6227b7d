import { UnsupportedError } from '../../../base/errors.ts';
import type { Device } from '../../../devices/device.ts';
import { createReferenceDevice } from '../../../devices/reference/device.ts';
import { createWasmDevice } from '../../../devices/wasm/device.ts';
import type { LoadSettings } from '../../../inference/remote/protocol.ts';
import { describeMachine } from '../machine.ts';
import { nodeThreads } from '../threads.ts';
import { compileForThisMachine } from '../wide-kernels.ts';

/** The device that a model is to run on; 'auto' is 'wasm'. */
export async function createDevice({ device, threads, blas, revectorize }: LoadSettings): Promise<Device> {
  if (blas) {
    throw new UnsupportedError(
      'load.blas',
      'load: blas is not offered for inference yet, expected blas: false. Leave the option out.',
    );
  }
  if (device === 'reference') return createReferenceDevice();
  const count = threads ?? describeMachine().physicalCores;
  const compiled = await compileForThisMachine({ threads: count, revectorize });
  return createWasmDevice({ threads: count, host: nodeThreads, ...compiled });
}
