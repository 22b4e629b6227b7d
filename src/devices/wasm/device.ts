/**
 * The CPU device: kernels on WebAssembly SIMD, shared out among threads, over one or several 4 GiB memories. Placed
 * weights are spread over the memories; what is trained, and the products with it, lie in the first one, the home segment.
 * Same weights, same inputs → the same bits, whatever the thread count, the batch or the chunking; the SIMD builds agree
 * with each other only where activations are int8 (with f32 ones, relaxed SIMD fuses multiply-adds).
 */
import { assert } from '../../base/assert.ts';
import { UnsupportedError } from '../../base/errors.ts';
import { type Blas, operandsOf } from '../../kernels/gemm/blas.ts';
import { hasWideProducts, type NativeKernels } from '../../kernels/native/kernels.ts';
import type { KvStore } from '../../kernels/ops.ts';
import { PACK_KINDS } from '../../kernels/tasks.ts';
import { CONTROL_WIDE } from '../../kernels/training-tasks.ts';
import { heldBytes, holdNf4 } from '../../quant/nf4.ts';
import { readWeights } from '../../quant/rows.ts';
import { type WeightType, weightTypes } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { copied, type Device } from '../device.ts';
import { ActivationArena } from './activation-arena.ts';
import { attentionMaps } from './attention-maps.ts';
import { copyKvBlock, createKvStore, readKvBlock, type WasmKvStore, writeKvBlock } from './kv-store.ts';
import { type KernelLibrary, kernelLibrary, type SimdBuild } from './library.ts';
import { muonStep } from './muon.ts';
import { createOps } from './ops.ts';
import { type PrepareMemory, Segment } from './segment.ts';
import { SegmentPlan } from './segment-plan.ts';
import { Streams } from './streams.ts';
import { Team, type ThreadHost } from './team.ts';
import { activation, numbersOf, WasmNf4, WasmTensor } from './tensors.ts';
import { createWasmBackward } from './training-backward.ts';
import { type TaskWatch, TrainingKernels } from './training-kernels.ts';
import { type Activations, isFloatKind, packKinds, placedBytes, placeWeight } from './weights.ts';

export interface WasmDeviceOptions {
  /** Threads including the caller's own. */
  readonly threads?: number;
  readonly activations?: Activations;
  readonly simd?: SimdBuild | 'auto';
  /** Makes the other threads; needed from two threads on. */
  readonly host?: ThreadHost | null;
  /** What layer 7 knows of the engine, for `description`: '256-bit'. */
  readonly note?: string;
  /** Called with every new memory: layer 7 may ask the system for large pages. */
  readonly prepareMemory?: PrepareMemory | null;
  /** Where kernels come from; they must be for shared memory if there are threads. */
  readonly kernels?: KernelLibrary;
  /**
   * Does the matrix products with parameters, and those of many rows with placed weights, on this device's threads; their bits are then
   * the library's. One that has products of bf16 multiplies rounded copies of both sides.
   */
  readonly blas?: Blas | null;
  /** Machine code for some of the kernels, with the same bits. */
  readonly native?: NativeKernels | null;
  /** Activation rows from which the BLAS multiplies a matrix that is kept in this type. Default 64; never where machine code does floats. */
  readonly blasRows?: (type: WeightType) => number;
  /** Milliseconds; with it the device learns how this machine reads memory fastest (streams.ts). */
  readonly clock?: () => number;
  /** Called when numbers leave the kernels, before anybody computes with them. */
  readonly leave?: () => void;
  /** Whether this engine joins neighbouring 128-bit operations (V8's revectorizer): only the speed of training depends on it. */
  readonly wideVectors?: boolean;
  /** Wraps every task but those of placed weights, for measuring. */
  readonly watch?: TaskWatch | null;
  /** Bytes of weights in a segment before the next one is begun; the rest of its 4 GiB is for caches and the arena. */
  readonly segmentWeights?: number | undefined;
}

export interface WasmDevice extends Device {
  readonly kind: 'wasm';
}

const SEGMENT_WEIGHTS = 2.75 * 2 ** 30;

export async function createWasmDevice(options: WasmDeviceOptions = {}): Promise<WasmDevice> {
  const { threads = 1, host = null, blas = null, native = null } = options;
  assert(
    Number.isInteger(threads) && threads >= 1,
    `createWasmDevice: threads is ${threads}, expected a whole number ≥ 1`,
  );
  if (threads > 1 && (host === null || typeof SharedArrayBuffer === 'undefined')) {
    throw new UnsupportedError(
      'wasm.threads',
      `wasm device: ${threads} threads need shared memory, which is not available here. Use one thread; in a browser, serve the page cross-origin isolated.`,
    );
  }
  const kernels = options.kernels ?? kernelLibrary({ simd: options.simd ?? 'auto', shared: threads > 1 });
  assert(kernels.shared || threads === 1, `createWasmDevice: kernels for one thread were given to ${threads}`);
  const { device, home, team } = assemble(options, kernels);
  if (threads > 1)
    await team.grow(host!, threads - 1, { blas: blas && operandsOf(blas), native: native?.place ?? null });
  await team.introduce(home, host);
  return device;
}

/** A device of one thread, which there is nothing to wait for. */
export function createLoneWasmDevice(
  options: Omit<WasmDeviceOptions, 'threads' | 'host' | 'kernels'> & { readonly kernels: KernelLibrary },
): WasmDevice {
  return assemble(options, options.kernels).device;
}

function assemble(
  options: WasmDeviceOptions,
  kernels: KernelLibrary,
): { readonly device: WasmDevice; readonly home: Segment; readonly team: Team } {
  const {
    threads = 1,
    activations = 'auto',
    host = null,
    note,
    segmentWeights = SEGMENT_WEIGHTS,
    blas = null,
    native = null,
  } = options;
  const leave = options.leave ?? (() => {});
  const team = new Team(kernels, native?.place ?? null);
  const segments: Segment[] = [];
  let nf4Bytes = 0;
  const newSegment = () => {
    const segment = new Segment(segments.length, kernels, {
      blas,
      native,
      prepare: options.prepareMemory ?? null,
    });
    segment.setWord(CONTROL_WIDE, options.wideVectors ? 1 : 0);
    segments.push(segment);
    return segment;
  };
  const home = newSegment();
  const arena = new ActivationArena();
  const blasRows = new Array<number>(PACK_KINDS).fill(Number.POSITIVE_INFINITY);
  for (const type of weightTypes) {
    // f32 and f16 are multiplied as f32; all others may be rounded to bf16 first.
    const isLeft = blas?.sgemm || (blas?.bgemm && type !== 'f32' && type !== 'f16');
    const isOurs = !blas?.bgemm && hasWideProducts(native) && isFloatKind(packKinds[type]);
    if (isLeft) blasRows[packKinds[type]] = options.blasRows?.(type) ?? (isOurs ? Number.POSITIVE_INFINITY : 64);
  }
  const streams = new Streams(options.clock ?? null);
  const context = { arena, team, home, blasRows, hasHalf: blas?.bgemm !== undefined, streams };
  const trained = new TrainingKernels(
    context,
    blas && (blas.bgemm ? 'bf16' : 'f32'),
    hasWideProducts(native),
    options.watch ?? null,
  );
  const layerSegments: Segment[] = [];
  const plan = new SegmentPlan(segmentWeights);

  function segmentFor(source: TensorSource, layer: number | null): Segment {
    const index = plan.place(placedBytes(source, activations), layer);
    assert(
      index < segments.length || threads === 1,
      `placeWeight: ${source.name} needs memory ${index}: prepare first`,
    );
    const segment = segments[index] ?? newSegment();
    if (layer !== null) layerSegments[layer] = segment;
    return segment;
  }

  const { simd } = kernels;
  const device: WasmDevice = {
    kind: 'wasm',
    ops: createOps(trained),
    backward: createWasmBackward(trained),
    description: [
      `wasm, ${threads} thread${threads === 1 ? '' : 's'}`,
      simd === 'dot' ? 'relaxed SIMD, dot products' : `${simd} SIMD`,
      native && `machine code (${native.place.way})`,
      note,
    ]
      .filter(Boolean)
      .join(', '),
    async prepare(weights) {
      const ahead = new SegmentPlan(segmentWeights);
      for (const [source, layer] of weights) {
        const index = ahead.place(placedBytes(source, activations), layer);
        if (index === segments.length) await team.introduce(newSegment(), host);
      }
    },
    placeWeight: (source, layer) => placeWeight(source, activations, segmentFor(source, layer), team),
    placeNf4(source) {
      const held = holdNf4(readWeights(source));
      nf4Bytes += heldBytes(held);
      return new WasmNf4(source.shape, held);
    },
    allocate(shape) {
      const bytes = elementCount(shape) * 4;
      home.allocatedBytes += bytes;
      // Some kernels read and write to a whole vector.
      const pointer = home.allocate(bytes + 16, 'a parameter, its gradient or its moments');
      return new WasmTensor(home, pointer, [...shape]);
    },
    scratch: (shape) => arena.tensor(home, shape),
    reshape(tensor, shape) {
      const { segment, pointer, dtype, shape: old } = activation(tensor);
      const counts = `reshape: [${old.join(', ')}] to [${shape.join(', ')}]`;
      assert(elementCount(old) === elementCount(shape), counts);
      return new WasmTensor(segment, pointer, shape, dtype);
    },
    write(tensor, numbers, from = 0) {
      const target = activation(tensor);
      target.quantized = target.mirror = null;
      numbersOf(target).set(numbers, from);
    },
    fill(tensor, value) {
      numbersOf(tensor).fill(value);
    },
    copy(to, from) {
      numbersOf(to).set(numbersOf(from));
    },
    async read(tensor, from = 0, count = elementCount(tensor.shape) - from, into) {
      leave();
      return copied(numbersOf(tensor).subarray(from, from + count), into);
    },
    createKvStore: (kv: Omit<KvStore, 'blockTokens'>) => createKvStore(kv, (layer) => layerSegments[layer] ?? home),
    copyKvBlock: (store, from, to) => copyKvBlock(store as WasmKvStore, from, to),
    async readKvBlock(store, block) {
      leave();
      return readKvBlock(store as WasmKvStore, block);
    },
    writeKvBlock: (store, block, bytes) => writeKvBlock(store as WasmKvStore, block, bytes),
    mark: () => arena.mark(),
    release: (mark) => arena.release(mark),
    keep: (mark, tensors) => arena.keep(mark, tensors.map(activation)),

    attentionMaps: (q_RQ, k_NP, options) => attentionMaps(trained, q_RQ, k_NP, options),
    sumSquares(tensors) {
      const sums = trained.doubles(tensors.length);
      for (let i = 0; i < tensors.length; i++) {
        const sum = trained.sumSquares(tensors[i]!);
        home.doublesAt(sums.pointer, tensors.length)[i] = sum;
      }
      return sums;
    },
    adamW: (parameter, gradient, moments, from, step) => trained.adamW(parameter, gradient, moments, from, step),
    blend: (to, factor, source, other) => trained.blend(to, factor, source, other),
    muon: (parameter, gradient, m, step) => muonStep(trained, parameter, gradient, m, step),
    memory() {
      const sum = (bytesOf: (segment: Segment) => number) =>
        segments.reduce((total, segment) => total + bytesOf(segment), 0);
      return {
        weights: sum(({ weightBytes }) => weightBytes) + nf4Bytes,
        allocated: sum(({ allocatedBytes }) => allocatedBytes),
        cache: sum(({ cacheBytes }) => cacheBytes),
        arena: sum(({ arena }) => arena.bytes),
      };
    },
    close: () => team.close(),
  };
  return { device, home, team };
}
