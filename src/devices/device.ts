import type { AdamWStep } from '../kernels/adamw/reference.ts';
import type { Seen } from '../kernels/attention/maps/reference.ts';
import type { BackwardOps, TrainingOps } from '../kernels/backward-ops.ts';
import type { MuonStep } from '../kernels/muon/reference.ts';
import type { AttentionOptions, KvStore, KvType } from '../kernels/ops.ts';
import type { TensorSource } from '../tensor/source.ts';
import { elementCount, type Floats, type Tensor } from '../tensor/tensor.ts';

export const deviceKinds = ['reference', 'wasm', 'webgpu'] as const;
export type DeviceKind = (typeof deviceKinds)[number];

/**
 * Memory and dispatch for one kind of hardware, for inference and training alike. Every call but `read` only queues work; a device
 * that computes at once does so before it returns.
 *
 * Three kinds of tensors: frozen weights in their stored type (placeWeight) and f32 numbers that may be written (allocate) live until
 * close(); activations (scratch, and what operations return) live in an arena that callers release by marks, last in, first out.
 * One caller at a time: between a mark and its release nobody else may use the device.
 */
export interface Device {
  readonly kind: DeviceKind;
  readonly ops: TrainingOps;
  readonly backward: BackwardOps;
  /** One line for people: what runs and how, e.g. 'wasm, 2 threads, relaxed SIMD, 256-bit'. */
  readonly description: string;

  /**
   * For devices that spread a model over several memories: makes those that these weights will need, in this order, without blocking
   * the event loop. Once, before the first placeWeight; where one memory is enough, it may be left out. `cache`: what createKvStore will
   * be asked for, so that a device with a memory of its own says that it is too small before any weight is read. `onProgress` hears of the
   * kernels that are compiled meanwhile.
   */
  prepare?(
    weights: Iterable<readonly [source: TensorSource, layer: number | null]>,
    cache?: Omit<KvStore, 'blockTokens'>,
    onProgress?: (done: number, total: number) => void,
  ): Promise<void>;
  /**
   * For devices that compile a kernel when it is first met: compiles those of what `run` queues, side by side and without blocking the
   * event loop. Nothing is computed, and what `run` reads is 0.
   */
  rehearse?(run: () => void | Promise<void>, onProgress?: (done: number, total: number) => void): Promise<void>;
  /**
   * Streams a frozen weight into place, in the layout that its kernels want. `layer` is the block it belongs to (null: outside the
   * blocks), for devices that spread a model over several memories.
   */
  placeWeight(source: TensorSource, layer: number | null): Tensor;
  /**
   * A frozen matrix in NF4 with double quantization, 4.13 bits a weight: the base of QLoRA. Only `linear`, `linearExact` and their
   * gradients read it, all with f32 activations.
   */
  placeNf4(source: TensorSource): Tensor;
  /** f32 zeros that live until close(): a parameter, its gradient, its moments. */
  allocate(shape: readonly number[]): Tensor;
  /** f32 in the arena; its numbers are not set. */
  scratch(shape: readonly number[]): Tensor;

  /** The same numbers under another shape of as many elements: one memory with two handles, of which only the first may be kept. */
  reshape(tensor: Tensor, shape: readonly number[]): Tensor;
  /** Sets the numbers of a tensor that is no placed weight, from element `from` on. */
  write(tensor: Tensor, numbers: ArrayLike<number>, from?: number): void;
  fill(tensor: Tensor, value: number): void;
  /** Copies all numbers of a tensor to another of as many. */
  copy(to: Tensor, from: Tensor): void;
  /**
   * The numbers of a tensor that is no placed weight, copied out as they are after all that was queued before: `count` of them from
   * element `from` on. The tensor may be released as soon as the call has returned. `into`: where they are copied to, in place of memory
   * that is made for them, which costs several times the copy.
   */
  read(tensor: Tensor, from?: number, count?: number, into?: Float32Array): Promise<Floats>;

  createKvStore(options: Omit<KvStore, 'blockTokens'>): KvStore;
  /** Copies whole blocks inside a store, all layers: for forks that write into a shared block. */
  copyKvBlock(store: KvStore, from: number, to: number): void;
  /** The bytes of a whole block, all layers, as they are after all that was queued before. */
  readKvBlock(store: KvStore, block: number): Promise<Uint8Array<ArrayBuffer>>;
  /** Puts such bytes back: into a store of the same shape and type, on the same kind of device. */
  writeKvBlock(store: KvStore, block: number, bytes: Uint8Array): void;

  mark(): number;
  release(mark: number): void;
  /** Releases the arena to `mark` but for these tensors; returns them in their new places. Their old handles are void. */
  keep(mark: number, tensors: readonly Tensor[]): Tensor[];

  /**
   * For devices from which reading takes time: of each row of x_RV the k largest numbers, each followed by its place, largest first
   * (kernels/largest), where k is at most `mostLargest`. NaN comes first.
   */
  largest?(x_RV: Tensor, k: number): Tensor;
  readonly mostLargest?: number;

  /** For devices with a kernel for it: what attention looks at (kernels/attention/maps). */
  attentionMaps?(q_RQ: Tensor, k_NP: Tensor, options: MapOptions): AttentionMaps;

  /** Σ x² of each tensor: as many numbers as tensors, in f64. */
  sumSquares(tensors: readonly Tensor[]): Tensor;
  /** One AdamW step on the elements [from, from + m's length) of a parameter. */
  adamW(parameter: Tensor, gradient: Tensor, moments: Moments, from: number, step: AdamWStep): void;
  /** to ← factor · to + other · source, of as many numbers. */
  blend(to: Tensor, factor: number, source: Tensor, other: number): void;
  /** One Muon step on a whole matrix; `m` is its momentum. */
  muon(parameter: Tensor, gradient: Tensor, m: Tensor, step: MuonStep): void;

  /** Bytes held: for placed weights, for what `allocate` gave, for caches and for the arena. */
  memory(): { readonly weights: number; readonly allocated: number; readonly cache: number; readonly arena: number };
  close(): void;
}

export interface MapOptions extends AttentionOptions {
  /** The keys that each row of q sees. */
  readonly seen_R: readonly Seen[];
  /** Query heads. */
  readonly heads: Uint32Array;
  readonly wanted: ReadonlySet<keyof AttentionMaps>;
}

/** heads × R × N numbers of each that is wanted. */
export interface AttentionMaps {
  readonly scores?: Tensor;
  readonly probabilities?: Tensor;
}

/** Running mean of the gradient and of its square. */
export interface Moments {
  readonly m: Tensor;
  readonly v: Tensor;
}

/** An activation with these numbers. */
export function fromFloats(device: Device, numbers: ArrayLike<number>, shape: readonly number[]): Tensor {
  const tensor = device.scratch(shape);
  device.write(tensor, numbers);
  return tensor;
}

/** For devices: a copy of numbers, in `into` where that is given. */
export function copied(numbers: Floats, into?: Float32Array): Floats {
  if (!into) return numbers.slice();
  into.set(numbers);
  return into;
}

/** Every number of a tensor, as f64. */
export async function readDoubles(device: Device, tensor: Tensor): Promise<Float64Array> {
  const numbers = await device.read(tensor, 0, elementCount(tensor.shape));
  return numbers instanceof Float64Array ? numbers : Float64Array.from(numbers);
}

export type { KvType };
