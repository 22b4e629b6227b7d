/**
 * The CPU device: AssemblyScript kernels on WebAssembly SIMD, shared out among threads, over one or several 4 GiB memories.
 * Same weights, same inputs → the same bits, whatever the thread count, the batch or the chunking; the SIMD builds agree
 * with each other only where activations are int8 (with f32 ones, relaxed SIMD fuses multiply-adds).
 */
import { assert } from '../../base/assert.ts';
import { UnsupportedError } from '../../base/errors.ts';
import { type Blas, operandsOf } from '../../kernels/gemm/blas.ts';
import type { KvStore } from '../../kernels/ops.ts';
import { PACK_KINDS } from '../../kernels/tasks.ts';
import { type WeightType, weightTypes } from '../../tensor/dtype.ts';
import type { TensorSource } from '../../tensor/source.ts';
import { elementCount, type Floats } from '../../tensor/tensor.ts';
import type { Device } from '../device.ts';
import { ActivationArena } from './activation-arena.ts';
import { copyKvBlock, createKvStore, type WasmKvStore } from './kv-store.ts';
import { type CompiledKernels, compileKernels, type SimdBuild } from './modules.ts';
import { createOps } from './ops.ts';
import { type PrepareMemory, Segment } from './segment.ts';
import { SegmentPlan } from './segment-plan.ts';
import { Streams } from './streams.ts';
import { Team, type ThreadHost } from './team.ts';
import { activation, floatsOf } from './tensors.ts';
import { type Activations, packKinds, placedBytes, placeWeight } from './weights.ts';

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
  /** Compiled already; they must be for shared memory if there are threads. */
  readonly kernels?: CompiledKernels;
  /** Does the matrix products of many rows, on this device's threads; their bits are then the library's. */
  readonly blas?: Blas | null;
  /** Activation rows from which the BLAS multiplies a matrix that is kept in this type. Default 64. */
  readonly blasRows?: (type: WeightType) => number;
  /** Milliseconds; with it the device learns how this machine reads memory fastest (streams.ts). */
  readonly clock?: () => number;
  /** Called when numbers leave the kernels, before anybody computes with them. */
  readonly leave?: () => void;
  /** Bytes of weights in a segment before the next one is begun; the rest of its 4 GiB is for caches and the arena. */
  readonly segmentWeights?: number | undefined;
}

export interface WasmDevice extends Device {
  readonly kind: 'wasm';
}

const SEGMENT_WEIGHTS = 2.75 * 2 ** 30;

export async function createWasmDevice(options: WasmDeviceOptions = {}): Promise<WasmDevice> {
  const {
    threads = 1,
    activations = 'auto',
    host = null,
    note,
    segmentWeights = SEGMENT_WEIGHTS,
    blas = null,
  } = options;
  const leave = options.leave ?? (() => {});
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
  const kernels = options.kernels ?? (await compileKernels({ simd: options.simd ?? 'auto', shared: threads > 1 }));
  const { module, simd, shared } = kernels;
  assert(shared || threads === 1, `createWasmDevice: kernels for one thread were given to ${threads}`);
  const team = new Team(module);
  const segments: Segment[] = [];
  const newSegment = () => {
    const segment = new Segment(segments.length, module, shared, { blas, prepare: options.prepareMemory ?? null });
    segments.push(segment);
    return segment;
  };
  if (threads > 1) await team.grow(host!, threads - 1, { blas: blas && operandsOf(blas) });
  const home = newSegment();
  await team.introduce(home, host);

  const arena = new ActivationArena();
  const blasRows = new Array<number>(PACK_KINDS).fill(Number.POSITIVE_INFINITY);
  if (blas) for (const type of weightTypes) blasRows[packKinds[type]] = options.blasRows?.(type) ?? 64;
  const streams = new Streams(options.clock ?? null);
  const context = { arena, team, home: () => home, blasRows, hasHalf: blas?.bgemm !== undefined, streams };
  const layerSegments: Segment[] = [];
  const plan = new SegmentPlan(segmentWeights);

  function segmentFor(source: TensorSource, layer: number | null): Segment {
    const index = plan.place(placedBytes(source, activations, home), layer);
    assert(
      index < segments.length || threads === 1,
      `placeWeight: ${source.name} needs memory ${index}: prepare first`,
    );
    const segment = segments[index] ?? newSegment();
    if (layer !== null) layerSegments[layer] = segment;
    return segment;
  }

  return {
    kind: 'wasm',
    ops: createOps(context),
    description: [
      `wasm, ${threads} thread${threads === 1 ? '' : 's'}`,
      simd === 'dot' ? 'relaxed SIMD, dot products' : `${simd} SIMD`,
      note,
    ]
      .filter(Boolean)
      .join(', '),
    async prepare(weights) {
      const ahead = new SegmentPlan(segmentWeights);
      for (const [source, layer] of weights) {
        const index = ahead.place(placedBytes(source, activations, home), layer);
        if (index === segments.length) await team.introduce(newSegment(), host);
      }
    },
    placeWeight: (source, layer) => placeWeight(source, activations, segmentFor(source, layer), team),
    fromFloats(data: Floats, shape) {
      assert(data.length === elementCount(shape), `fromFloats: ${data.length} numbers for shape [${shape.join(', ')}]`);
      const tensor = arena.tensor(home, shape);
      floatsOf(tensor).set(data);
      return tensor;
    },
    toFloats(tensor) {
      leave();
      return floatsOf(tensor).slice();
    },
    createKvStore: (kv: Omit<KvStore, 'blockTokens'>) => createKvStore(kv, (layer) => layerSegments[layer] ?? home),
    copyKvBlock: (store, from, to) => copyKvBlock(store as WasmKvStore, from, to),
    mark: () => arena.mark(),
    release: (mark) => arena.release(mark),
    releaseKeeping: (mark, tensor) => arena.releaseKeeping(mark, activation(tensor)),
    memory() {
      const sum = (what: 'weightBytes' | 'cacheBytes' | 'arenaBytes') =>
        segments.reduce((total, segment) => total + segment[what], 0);
      return { weights: sum('weightBytes'), cache: sum('cacheBytes'), arena: sum('arenaBytes') };
    },
    close: () => team.close(),
  };
}
