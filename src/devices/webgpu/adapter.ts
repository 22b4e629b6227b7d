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

/** How products of many rows are computed, and why so. */
export interface Products {
  /** With weights that are integers with scales. */
  readonly by: 'int8' | 'f16' | 'f32';
  /** With weights that are stored as f16. */
  readonly ofHalves: 'f16' | 'f32';
  readonly why: string;
}

/** WGSL's language feature of packed products of 8-bit integers. */
const PACKED_DOTS = 'packed_4x8_integer_dot_product';
const HALVES = 'shader-f16';

/**
 * The one place that decides. Apple's GPUs, and adapters that compute on the CPU, have no instruction for products of packed integers:
 * the language offers them all the same, and they are slower than f32 there (llama.cpp#23594, three.js#34451). f16 halves the bytes that
 * go through workgroup memory, which bounds tiles of f32.
 */
export function chooseProducts(
  adapter: {
    readonly vendor: string;
    readonly isSoftware: boolean;
    readonly hasDots: boolean;
    readonly hasHalves: boolean;
  },
  wanted?: Products['by'],
): Products {
  const { vendor, isSoftware, hasDots, hasHalves } = adapter;
  if (wanted !== undefined) {
    if (wanted === 'int8' && !hasDots) throw missing('int8', 'products of 8-bit integers', `WGSL's ${PACKED_DOTS}`);
    if (wanted === 'f16' && !hasHalves) throw missing('f16', 'products in f16', `the feature ${HALVES}`);
    return { by: wanted, ofHalves: wanted === 'f16' ? 'f16' : 'f32', why: 'asked for' };
  }
  if (isSoftware) return { by: 'f32', ofHalves: 'f32', why: 'a software adapter' };
  const ofHalves = hasHalves ? 'f16' : 'f32';
  const isApple = /apple/i.test(vendor);
  if (hasDots && !isApple) return { by: 'int8', ofHalves, why: 'products of packed integers' };
  const noDots = isApple
    ? 'Apple has no instruction for products of packed integers'
    : `WGSL's ${PACKED_DOTS} is not here`;
  return { by: ofHalves, ofHalves, why: hasHalves ? `${noDots}, and ${HALVES} is` : noDots };
}

const missing = (wanted: string, products: string, needed: string) =>
  new UnsupportedError(
    `webgpu.${wanted}`,
    `webgpu: ${products} are asked for, which need ${needed}; it is not here. Leave the choice to the device.`,
  );

/** Raised to what the adapter offers; the others' guaranteed values are enough. */
const raisedLimits = ['maxBufferSize', 'maxStorageBufferBindingSize'] as const;

/** Throws UnsupportedError `webgpu.no-adapter`, `webgpu.no-device`. A new adapter for every device: one adapter opens one. */
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
  const { info } = adapter;
  const words = [info.vendor, info.architecture, info.device, info.description].filter((word) => word !== '');
  const name = info.description || words.join(' ') || 'an adapter without a name';
  const isSoftware = info.isFallbackAdapter || /swiftshader|llvmpipe|lavapipe|software/i.test(words.join(' '));
  const hasDots = gpu.wgslLanguageFeatures?.has(PACKED_DOTS) === true;
  const facts = { vendor: info.vendor, isSoftware, hasDots, hasHalves: has(HALVES) };
  const choice = chooseProducts(facts, products);
  const wanted = {
    requiredFeatures: [
      ...(hasTimestamps ? (['timestamp-query'] as const) : []),
      ...(hasSubgroups ? (['subgroups'] as const) : []),
      ...(choice.by === 'f16' || choice.ofHalves === 'f16' ? ([HALVES] as const) : []),
    ],
    requiredLimits: Object.fromEntries(raisedLimits.map((limit) => [limit, adapter.limits[limit]])),
  };
  const device = await adapter.requestDevice(wanted).catch((cause: Error) => {
    throw new UnsupportedError(
      'webgpu.no-device',
      `webgpu: ${name} opens no device (${cause.message}), expected one with what it offers. Close programs that use it, renew its driver, or use device "wasm".`,
      { cause },
    );
  });
  return { device, name, isSoftware, hasTimestamps, hasSubgroups, products: choice };
}
