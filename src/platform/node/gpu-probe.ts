/** A program of its own: opens the GPU, and says what it found in one line of JSON on stdout. Drivers may say more on stderr, or crash. */
import { createWebGpuDevice } from '../../devices/webgpu/device.ts';
import { createGpu } from './gpu.ts';
import type { ProbedGpu } from './probe-gpu.ts';

async function look(): Promise<ProbedGpu> {
  try {
    const { adapterName, isSoftware, features } = await createWebGpuDevice({ gpu: await createGpu() });
    return { adapterName, isSoftware, features, problem: null };
  } catch (error) {
    return { adapterName: null, isSoftware: false, features: [], problem: (error as Error).message };
  }
}

process.stdout.write(`${JSON.stringify(await look())}\n`, () => process.exit(0));
