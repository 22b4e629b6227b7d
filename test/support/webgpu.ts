/**
 * A GPU for tests: the package `webgpu` on a driver that computes on the CPU. That is the SwiftShader that Chromium brings with it, or
 * Mesa's lavapipe (from Mesa 24 on), which has shader-f16 and takes four to eight times as much processor time, most of it to compile our
 * kernels. CRIA_TEST_ADAPTER names one of the two; VK_DRIVER_FILES any driver. LP_NATIVE_VECTOR_WIDTH=128, 256 or 512 gives lavapipe
 * subgroups of 4, 8 or 16 lanes. Only correctness and counts are tested here: how fast it is says nothing about a GPU.
 */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { after } from 'node:test';
import type { Device } from '../../src/devices/device.ts';
import { createWebGpuDevice, type WebGpuDevice, type WebGpuDeviceOptions } from '../../src/devices/webgpu/device.ts';
import { createGpu } from '../../src/platform/node/gpu.ts';
import { findFfi } from '../../src/platform/node/native/ffi.ts';

export const noGpu = 'no WebGPU adapter here';
export const noHalves = 'no WebGPU adapter with shader-f16 here';

interface Driver {
  readonly file: string;
  /** Where its Vulkan loader is; null: where the system keeps its own. */
  readonly folder: string | null;
}

/** Null where it is not installed. */
const drivers: Readonly<Record<string, () => Driver | null>> = {
  swiftshader() {
    for (const folder of ['/usr/lib/chromium', '/usr/lib/chromium-browser', '/opt/google/chrome']) {
      const file = join(folder, 'vk_swiftshader_icd.json');
      if (existsSync(file) && existsSync(join(folder, 'libvulkan.so.1'))) return { file, folder };
    }
    return null;
  },
  lavapipe() {
    for (const folder of ['/usr/share/vulkan/icd.d', '/usr/local/share/vulkan/icd.d']) {
      const name = existsSync(folder) && readdirSync(folder).find((one) => /^lvp_icd\b.*\.json$/.test(one));
      if (name) return { file: join(folder, name), folder: null };
    }
    return null;
  },
};

let driver: Driver | null | undefined;

/** The driver of this process, which loads one at most. Null where VK_DRIVER_FILES named it, or there is none. */
function driverHere(preferred: readonly string[]): Driver | null {
  if (driver === undefined) driver = findDriver(preferred);
  return driver;
}

function findDriver(preferred: readonly string[]): Driver | null {
  if (process.env.VK_DRIVER_FILES) return null;
  const wanted = process.env.CRIA_TEST_ADAPTER;
  if (wanted === undefined) return preferred.reduce<Driver | null>((found, name) => found ?? drivers[name]!(), null);
  const found = drivers[wanted]?.();
  if (!found)
    throw new Error(`CRIA_TEST_ADAPTER is ${wanted}: expected one that is installed, of ${Object.keys(drivers)}`);
  return found;
}

const all = Object.keys(drivers);

/** The environment in which the package finds an adapter on this machine, for programs that are started. */
export function gpuEnvironment(): Record<string, string> {
  const found = driverHere(all);
  if (!found) return {};
  return { VK_DRIVER_FILES: found.file, ...(found.folder && { LD_LIBRARY_PATH: found.folder }) };
}

let opened: Promise<GPU | null> | undefined;

/** The GPU, or null where there is none: then tests are skipped, for `noGpu`. */
export function testGpu(): Promise<GPU | null> {
  opened ??= open(all);
  return opened;
}

/** A GPU with shader-f16, which of the two only lavapipe has; asked for before anything else of this file. Null: skipped, for `noHalves`. */
export async function testGpuWithHalves(): Promise<GPU | null> {
  opened ??= open(['lavapipe']);
  const gpu = await opened;
  return gpu && (await gpu.requestAdapter())!.features.has('shader-f16') ? gpu : null;
}

async function open(preferred: readonly string[]): Promise<GPU | null> {
  const found = driverHere(preferred);
  if (found) {
    process.env.VK_DRIVER_FILES = found.file;
    // Less of lavapipe's machine code, and less work on it: it runs once.
    process.env.LP_NATIVE_VECTOR_WIDTH ??= '128';
    process.env.GALLIVM_PERF ??= 'nopt';
  }
  // The package asks the system for this library by name; one that is loaded already is found.
  if (found?.folder) findFfi()?.load(join(found.folder, 'libvulkan.so.1'), { global: true });
  try {
    const gpu = await createGpu();
    return (await gpu.requestAdapter()) ? gpu : null;
  } catch {
    return null;
  }
}

let shared: Promise<WebGpuDevice> | undefined;

/** One device for all of a test file, as its kernels take long to compile here; closing it does nothing. Empty without a GPU. */
export async function gpuDevices(): Promise<
  readonly { readonly name: string; readonly create: () => Promise<Device> }[]
> {
  if (!(await testGpu())) return [];
  const create = async (): Promise<Device> => {
    shared ??= testDevice();
    return { ...(await shared), close: () => {} };
  };
  return [{ name: 'webgpu', create }];
}

/** A device for a test file, closed behind it; call it where testGpu() is there. */
export async function testDevice(options: Omit<WebGpuDeviceOptions, 'gpu'> = {}): Promise<WebGpuDevice> {
  const device = await createWebGpuDevice({ gpu: (await testGpu())!, ...options });
  after(() => device.close());
  return device;
}
