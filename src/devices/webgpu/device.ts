/**
 * The GPU device, through WebGPU: in browsers, and in Node through the package `webgpu`. Operations encode dispatches and return;
 * `read` waits. Weights stay as they are stored, sums are f32.
 *
 * Numbers  The same call gives the same bits again on the same adapter. That a row has the same bits in any batch is not promised: a
 *          product of few rows and one of many sum in different orders.
 */
import { assert } from '../../base/assert.ts';
import { UnsupportedError } from '../../base/errors.ts';
import { formatBytes } from '../../base/units.ts';
import { fill } from '../../kernels/add/webgpu.ts';
import { MOST_LARGEST } from '../../kernels/largest/webgpu.ts';
import { isWeightType, rowBytes } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { columnCount, elementCount, formatShape, rowCount, type Tensor } from '../../tensor/tensor.ts';
import { copied, type Device } from '../device.ts';
import { DeviceLostError, openGpu, type Products } from './adapter.ts';
import { BatchTables } from './attention-ops.ts';
import { createBackward } from './backward.ts';
import { Context } from './context.ts';
import {
  copyKvBlock,
  createKvStore,
  type GpuKvStore,
  isSameStore,
  readKvBlock,
  storeBytes,
  writeKvBlock,
} from './kv-store.ts';
import { Memory, type Pause } from './memory.ts';
import { createOps, largestOf } from './ops.ts';
import { adamWStep, blend, muonStep, sumSquares } from './optimizers.ts';
import { Queue } from './queue.ts';
import { selfTest } from './self-test.ts';
import { GpuTensor, gpuTensor } from './tensors.ts';
import type { Counts } from './timer.ts';
import { storedBytes, Weights } from './weights.ts';

export interface WebGpuDeviceOptions {
  /** navigator.gpu, or what the package `webgpu` creates: whoever made it keeps it for as long as the device lives. */
  readonly gpu: GPU;
  /** A buffer of a matrix at most, in bytes; absent: what the adapter allows. For tests. */
  readonly pieceBytes?: number;
  /** The arithmetic of a dispatch at most; absent: what the measured rate makes of half a second. For tests. */
  readonly dispatchFlops?: number;
  /** What the adapter has and is not to be used. For tests. */
  readonly without?: readonly GPUFeatureName[];
  /** How products of many rows are computed, of the weights that allow it; absent: as suits the adapter (adapter.ts). */
  readonly products?: Products['by'];
  /** Milliseconds: with it the rate of the adapter is measured, and dispatches that would take long are cut by it. */
  readonly clock?: () => number;
  /** Waits a little, in a browser that looks only now and then whether a GPU is done (mapForReading). */
  readonly pause?: Pause | undefined;
  /** Told of what goes wrong outside of any call. */
  readonly warn?: (message: string) => void;
}

export interface WebGpuDevice extends Device {
  readonly kind: 'webgpu';
  /** What the adapter calls itself. */
  readonly adapterName: string;
  /** The adapter computes on the CPU: correct, and slower than the wasm device. */
  readonly isSoftware: boolean;
  /** What it offers of what not every adapter has, by WebGPU's names. */
  readonly features: readonly string[];
  readonly products: Products;
  readonly counts: Counts;
  /** Seconds that the GPU takes for each kernel of what `run` queues; null where the adapter has no clock. Slower than the same untimed. */
  time(run: () => Promise<void>): Promise<Map<string, number> | null>;
}

/** Throws UnsupportedError `webgpu.no-adapter`. */
export async function createWebGpuDevice({
  gpu,
  pieceBytes,
  dispatchFlops,
  without,
  products: wantedProducts,
  clock,
  pause,
  warn = () => {},
}: WebGpuDeviceOptions): Promise<WebGpuDevice> {
  const opened = await openGpu(gpu, without, wantedProducts);
  const { device, name, isSoftware, hasTimestamps, hasSubgroups, products } = opened;
  const memory = new Memory(device);
  const queue = new Queue(device, name, memory, { clock, dispatchFlops, pause });
  const context = new Context(memory, queue, opened);
  const weights = new Weights(memory, queue, pieceBytes ?? null);
  const tables = new BatchTables(context);
  let isClosed = false;
  /** The cache that prepare() made room for, until it is asked for. */
  let prepared: GpuKvStore | null = null;

  device.addEventListener('uncapturederror', (event) => {
    const { error } = event as GPUUncapturedErrorEvent;
    queue.fail(uncaptured(error, name));
    warn(`webgpu: ${error.message}`);
  });
  void device.lost.then(({ reason, message }) => {
    if (isClosed) return;
    const why = message || reason;
    queue.fail(
      new DeviceLostError(
        'webgpu.lost',
        `webgpu: the device was lost (${why}), expected ${name} to go on. Load the model again; if it is lost again, use device "wasm".`,
      ),
    );
  });

  const made: WebGpuDevice = {
    kind: 'webgpu',
    ops: createOps(context, tables),
    backward: createBackward(context, tables),
    description: `webgpu, ${name}${hasSubgroups ? ', subgroups' : ''}, many rows by ${products.by}${isSoftware ? ', a software adapter: for tests' : ''}`,
    adapterName: name,
    isSoftware,
    features: [...device.features].sort(),
    products,
    counts: queue.counts,
    time: async (run) => (hasTimestamps ? queue.time(run) : null),
    // Software adapters take seconds for a kernel: there those that are met are enough.
    ...(!isSoftware && { rehearse: (run, onProgress) => queue.rehearse(run, onProgress) }),

    async prepare(sources, cache, onProgress) {
      const all = [...sources].map(([source]) => source);
      const types = [...new Set(all.filter(({ shape }) => shape.length >= 2).map(({ dtype }) => dtype))].filter(
        isWeightType,
      );
      const bytes = all.reduce((sum, source) => sum + storedBytes(source), 0);
      const grown = grownWeights(all);
      if (grown) warn(grown);
      await selfTest(made, { types, cache, onProgress });
      const cacheBytes = cache ? `, and the cache, ${storeBytes(cache)} bytes,` : ',';
      await withRoom(device, `the weights, ${bytes} bytes${cacheBytes}`, name, () => {
        for (const source of all) weights.allocate(source);
        if (cache) prepared = createKvStore(memory, cache);
      });
    },
    placeWeight: (source: TensorSource) => weights.place(source),
    placeNf4: (source) => weights.placeNf4(source),
    allocate(shape) {
      const what = `a parameter ${formatShape(shape)}`;
      return new GpuTensor(memory.create(elementCount(shape) * 4, 'allocated', what), [...shape]);
    },
    scratch: (shape) => context.scratch(shape),
    reshape(tensor, shape) {
      const counts = `reshape: ${formatShape(tensor.shape)} to ${formatShape(shape)}`;
      assert(elementCount(tensor.shape) === elementCount(shape), counts);
      return new GpuTensor(gpuTensor(tensor).region, [...shape]);
    },
    write: (tensor, numbers, from) => context.write(tensor, numbers, from),
    fill(tensor, value) {
      const { region, shape } = gpuTensor(tensor);
      context.each(fill, elementCount(shape), { y: region }, { value });
    },
    copy: (to, from) => queue.copy(gpuTensor(to).region, 0, gpuTensor(from).region, 0, elementCount(from.shape) * 4),
    async read(tensor, from = 0, count = elementCount(tensor.shape) - from, into) {
      const numbers = await queue.read(gpuTensor(tensor).region, from * 4, count);
      return into ? copied(numbers, into) : numbers;
    },
    createKvStore(options) {
      const found = prepared && isSameStore(prepared, options) ? prepared : createKvStore(memory, options);
      if (found === prepared) prepared = null;
      return found;
    },
    copyKvBlock: (store, from, to) => copyKvBlock(memory, queue, store as GpuKvStore, from, to),
    readKvBlock: (store, block) => readKvBlock(memory, queue, store as GpuKvStore, block),
    writeKvBlock: (store, block, bytes) => writeKvBlock(queue, store as GpuKvStore, block, bytes),
    mark: () => memory.mark(),
    release: (mark) => memory.release(mark),
    keep(mark, tensors) {
      memory.keep(mark, new Set(tensors.map((tensor) => gpuTensor(tensor).region)));
      queue.settle();
      return [...tensors];
    },

    largest: (x_RV, k) => largestOf(context, x_RV, k),
    mostLargest: MOST_LARGEST,
    sumSquares: (tensors: readonly Tensor[]) => sumSquares(context, tensors),
    adamW: (parameter, gradient, moments, from, step) => adamWStep(context, parameter, gradient, moments, from, step),
    blend: (to, factor, source, other) => blend(context, to, factor, source, other),
    muon: (parameter, gradient, m, step) => muonStep(context, parameter, gradient, m, step),
    memory: () => ({ ...memory.bytes }),
    close() {
      isClosed = true;
      queue.close();
      memory.close();
      device.destroy();
    },
  };
  return made;
}

/** Says of weights whose type no kernel reads how much larger they are as f32; null: there are none. */
function grownWeights(sources: readonly TensorSource[]): string | null {
  const matrices = sources.filter(({ shape }) => shape.length >= 2);
  const fileBytes = ({ dtype, shape }: TensorSource) => rowCount(shape) * rowBytes(dtype, columnCount(shape));
  const grown = matrices.filter((source) => storedBytes(source) > 1.5 * fileBytes(source));
  if (grown.length === 0) return null;
  const sum = (of: (source: TensorSource) => number) =>
    formatBytes(grown.reduce((total, source) => total + of(source), 0));
  const types = [...new Set(grown.map(({ dtype }) => dtype))].join(', ');
  return `webgpu: weights in ${types} are f32 on a GPU, ${sum(storedBytes)} for ${sum(fileBytes)} of the file. Other types, as Q4_K, stay as they are.`;
}

/** An error of no call that waits for it. A device that is out of memory has computed with buffers that are not there. */
function uncaptured(error: GPUError, name: string): UnsupportedError {
  const { message } = error;
  // By name: in Node, the package's classes are no globals.
  if (error.constructor.name !== 'GPUOutOfMemoryError')
    return new UnsupportedError('webgpu.failed', `webgpu: ${name} refused a call: ${message}`);
  return new UnsupportedError(
    'webgpu.memory',
    `webgpu: ${name} has no memory left (${message}), expected room for what is computed beside the weights. ${lessMemory}`,
  );
}

/** What helps a model that runs, and one that is trained. */
const lessMemory =
  'Use a smaller or more quantized model, a shorter context (--context), a smaller cache (--kv-type q8_0), smaller batches ' +
  '(in training training.microBatchTokens, training.recompute=block), or device "wasm".';

/** Runs what makes buffers; throws UnsupportedError `webgpu.memory` where the adapter has no room for them. */
async function withRoom(device: GPUDevice, what: string, name: string, make: () => void): Promise<void> {
  device.pushErrorScope('out-of-memory');
  let error: GPUError | null = null;
  try {
    make();
  } finally {
    error = await device.popErrorScope();
  }
  if (!error) return;
  throw new UnsupportedError('webgpu.memory', `webgpu: ${what} do not fit into the memory of ${name}. ${lessMemory}`);
}
