/** What stands for test/support/devices.ts and webgpu.ts in a browser: its GPU, and nothing beside it. */
import type { Device } from '../../../src/devices/device.ts';
import { createWebGpuDevice } from '../../../src/devices/webgpu/device.ts';

export const testDevices: readonly never[] = [];
export const noGpu = 'no WebGPU adapter here';

let shared: Promise<Device> | undefined;

/** One device for all tests, as its kernels take long to compile here. */
export async function gpuDevices() {
  const create = async (): Promise<Device> => {
    shared ??= createWebGpuDevice({ gpu: navigator.gpu });
    return { ...(await shared), close: () => {} };
  };
  return [{ name: 'webgpu', create }];
}

/** For what trainingDevices are made of in Node. */
export const loadBlas = (): null => null;
export const nodeThreads = null;
