/**
 * A program of its own: opens the GPU, and says what it found in one line of JSON on stdout; with the word `choose` also on which device
 * models are to run. Drivers may say more on stderr, or crash.
 */
import { chooseDevice } from '../../devices/choose.ts';
import { createWebGpuDevice } from '../../devices/webgpu/device.ts';
import { loadSettings } from '../../inference/remote/load.ts';
import { createDevice } from './engine/devices.ts';
import { createGpu } from './gpu.ts';
import type { Probed } from './probe-gpu.ts';

const openGpu = async () => createWebGpuDevice({ gpu: await createGpu() });

async function look(): Promise<Omit<Probed, 'words' | 'choice'>> {
  try {
    const device = await openGpu();
    const { adapterName, isSoftware, features, products } = device;
    device.close();
    return { adapterName, isSoftware, features, products, problem: null };
  } catch (error) {
    return { adapterName: null, isSoftware: false, features: [], products: null, problem: (error as Error).message };
  }
}

const openWasm = () => createDevice(loadSettings({ device: 'wasm' }));
const choice =
  process.argv[2] === 'choose' ? await chooseDevice({ openGpu, openWasm, clock: () => performance.now() }) : null;
process.stdout.write(`${JSON.stringify({ ...(await look()), choice })}\n`, () => process.exit(0));
