/**
 * A GPU for tests: the package `webgpu`, on this machine's driver or on the software adapter that Chromium brings with it (SwiftShader).
 * Only correctness and counts are tested on it; how fast it is says nothing about a GPU.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import type { Device } from '../../src/devices/device.ts';
import { createWebGpuDevice, type WebGpuDevice, type WebGpuDeviceOptions } from '../../src/devices/webgpu/device.ts';
import { createGpu } from '../../src/platform/node/gpu.ts';
import { findFfi } from '../../src/platform/node/native/ffi.ts';

/** The environment in which the package finds an adapter on this machine, for programs that are started. */
export function gpuEnvironment(): Record<string, string> {
  const folder = softwareFolder;
  return folder ? { VK_DRIVER_FILES: join(folder, DRIVER), LD_LIBRARY_PATH: folder } : {};
}

export const noGpu = 'no WebGPU adapter here';
const DRIVER = 'vk_swiftshader_icd.json';

/** Where a Chromium keeps its SwiftShader and its Vulkan loader; null where another driver is named, or there is none. */
function findSoftware(): string | null {
  if (process.env.VK_DRIVER_FILES) return null;
  const folders = ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome'];
  return (
    folders.find((folder) => existsSync(join(folder, DRIVER)) && existsSync(join(folder, 'libvulkan.so.1'))) ?? null
  );
}

const softwareFolder = findSoftware();

let opened: Promise<GPU | null> | undefined;

/** The GPU, or null where there is none: then tests are skipped, for `noGpu`. */
export function testGpu(): Promise<GPU | null> {
  opened ??= open();
  return opened;
}

async function open(): Promise<GPU | null> {
  const folder = softwareFolder;
  if (folder) {
    process.env.VK_DRIVER_FILES = join(folder, DRIVER);
    // The package asks the system for this library by name; one that is loaded already is found.
    findFfi()?.load(join(folder, 'libvulkan.so.1'), { global: true });
  }
  try {
    const gpu = await createGpu();
    return (await gpu.requestAdapter()) ? gpu : null;
  } catch {
    return null;
  }
}

let shared: Promise<WebGpuDevice> | undefined;

/** One device for all of a test file, as its kernels take long to compile here; closing it does nothing. Empty without a GPU. */
export const gpuDevices: readonly { readonly name: string; readonly create: () => Promise<Device> }[] =
  (await testGpu())
    ? [
        {
          name: 'webgpu',
          async create() {
            shared ??= testDevice();
            return { ...(await shared), close: () => {} };
          },
        },
      ]
    : [];

/** A device for a test file, closed behind it; call it where testGpu() is there. */
export async function testDevice(options: Omit<WebGpuDeviceOptions, 'gpu'> = {}): Promise<WebGpuDevice> {
  const device = await createWebGpuDevice({ gpu: (await testGpu())!, ...options });
  after(() => device.close());
  return device;
}
