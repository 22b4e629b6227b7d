/** Finds an adapter, and opens a device on it with all that it offers of what the kernels can use. */
import { CriaError, UnsupportedError } from '../../base/errors.ts';

/** A GPU went away under a computation: a driver's reset, a tab in the background, a removed card. */
export class DeviceLostError extends CriaError {}

export interface OpenGpu {
  readonly device: GPUDevice;
  /** What the adapter calls itself: 'nvidia ampere'. */
  readonly name: string;
  /** The adapter computes on the CPU: for tests, and slower than wasm. */
  readonly isSoftware: boolean;
  readonly hasTimestamps: boolean;
  /** Subgroups of sizes that the kernels can join, numbered as WGSL lets kernels see. */
  readonly hasSubgroups: boolean;
  readonly products: Products;
}

/** How products of many rows are computed with weights that are integers with scales, and why so. */
export interface Products {
  readonly by: 'int8' | 'f32';
  readonly why: string;
}

/** WGSL's language feature of packed products of 8-bit integers. */
const PACKED_DOTS = 'packed_4x8_integer_dot_product';

/**
 * The one place that decides. Apple's GPUs, and adapters that compute on the CPU, have no instruction for products of packed integers:
 * the language offers them all the same, and they are slower than f32 there (llama.cpp#23594, three.js#34451).
 */
export function chooseProducts(
  { vendor, isSoftware, hasDots }: { readonly vendor: string; readonly isSoftware: boolean; readonly hasDots: boolean },
  wanted?: Products['by'],
): Products {
  if (!hasDots) {
    if (wanted === 'int8')
      throw new UnsupportedError(
        'webgpu.int8',
        `webgpu: products of 8-bit integers are asked for, which need WGSL's ${PACKED_DOTS}; it is not here. Leave the choice to the device.`,
      );
    return { by: 'f32', why: `WGSL's ${PACKED_DOTS} is not here` };
  }
  if (wanted !== undefined) return { by: wanted, why: 'asked for' };
  if (isSoftware) return { by: 'f32', why: 'a software adapter' };
  if (/apple/i.test(vendor)) return { by: 'f32', why: 'Apple has no instruction for products of packed integers' };
  return { by: 'int8', why: 'products of packed integers' };
}

/** Raised to what the adapter offers; the others' guaranteed values are enough. */
const raisedLimits = ['maxBufferSize', 'maxStorageBufferBindingSize'] as const;

/** Throws UnsupportedError `webgpu.no-adapter`. A new adapter for every device: one adapter opens one. */
export async function openGpu(
  gpu: GPU,
  without: readonly GPUFeatureName[] = [],
  products?: Products['by'],
): Promise<OpenGpu> {
  const adapter = await gpu.requestAdapter({ powerPreference: 'high-performance' });
  if (!adapter) {
    throw new UnsupportedError(
      'webgpu.no-adapter',
      'webgpu: this system offers no adapter, expected a GPU with a driver for Vulkan, Metal or Direct3D 12. ' +
        'Install the driver (Linux: libvulkan1 and the Vulkan driver of the card; Chrome there may want --enable-unsafe-webgpu), or use device "wasm".',
    );
  }
  const has = (feature: GPUFeatureName) => adapter.features.has(feature) && !without.includes(feature);
  const hasTimestamps = has('timestamp-query');
  const { subgroupMinSize = 0, subgroupMaxSize = 0 } = adapter.info;
  const areJoined = subgroupMinSize >= 4 && subgroupMaxSize <= 32;
  const hasSubgroups = has('subgroups') && areJoined && gpu.wgslLanguageFeatures?.has('subgroup_id') === true;
  const device = await adapter.requestDevice({
    requiredFeatures: [
      ...(hasTimestamps ? (['timestamp-query'] as const) : []),
      ...(hasSubgroups ? (['subgroups'] as const) : []),
    ],
    requiredLimits: Object.fromEntries(raisedLimits.map((limit) => [limit, adapter.limits[limit]])),
  });
  const { info } = adapter;
  const words = [info.vendor, info.architecture, info.device, info.description].filter((word) => word !== '');
  const name = info.description || words.join(' ') || 'an adapter without a name';
  const isSoftware = info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|software/i.test(words.join(' '));
  const hasDots = gpu.wgslLanguageFeatures?.has(PACKED_DOTS) === true;
  const choice = chooseProducts({ vendor: info.vendor, isSoftware, hasDots }, products);
  return { device, name, isSoftware, hasTimestamps, hasSubgroups, products: choice };
}
