import type { KvStore, KvType, Ops } from '../kernels/ops.ts';
import type { TensorSource } from '../tensor/source.ts';
import type { Floats, Tensor } from '../tensor/tensor.ts';

export const deviceKinds = ['reference', 'wasm'] as const;
export type DeviceKind = (typeof deviceKinds)[number];

/**
 * Memory and dispatch for one kind of hardware. Weights live until close(); activations live in an arena that callers
 * release by marks, last in, first out.
 */
export interface Device {
  readonly kind: DeviceKind;
  readonly ops: Ops;
  /** One line for people: what runs and how, e.g. 'wasm, 2 threads, relaxed SIMD, 256-bit'. */
  readonly description: string;

  /**
   * For devices that spread a model over several memories: makes those that these weights will need, in this order, without blocking
   * the event loop. Once, before the first placeWeight; where one memory is enough, it may be left out.
   */
  prepare?(weights: Iterable<readonly [source: TensorSource, layer: number | null]>): Promise<void>;
  /**
   * Streams a weight into place, in the layout that its kernels want. `layer` is the block it belongs to (null: outside the blocks),
   * for devices that spread a model over several memories.
   */
  placeWeight(source: TensorSource, layer: number | null): Tensor;
  /** An f32 tensor from numbers, in the arena. */
  fromFloats(data: Floats, shape: readonly number[]): Tensor;
  /** The numbers of an activation, copied out. */
  toFloats(tensor: Tensor): Floats;

  createKvStore(options: Omit<KvStore, 'blockTokens'>): KvStore;
  /** Copies whole blocks inside a store, all layers: for forks that write into a shared block. */
  copyKvBlock(store: KvStore, from: number, to: number): void;

  mark(): number;
  release(mark: number): void;
  /** Releases to `mark`, but keeps the numbers of one activation: the tensor returned has them. */
  releaseKeeping(mark: number, tensor: Tensor): Tensor;

  /** Bytes held for weights, caches and the arena. */
  memory(): { readonly weights: number; readonly cache: number; readonly arena: number };
  close(): void;
}

export type { KvType };
