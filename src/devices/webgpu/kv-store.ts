/** The paged cache on the GPU: per layer a buffer of keys and one of values; their layout: kernels/attention/webgpu.ts. */
import { inGroups } from '../../kernels/attention/append.webgpu.ts';
import { kvElements, scaleGroups } from '../../kernels/attention/webgpu.ts';
import { KV_BLOCK_TOKENS, type KvStore } from '../../kernels/ops.ts';
import type { Memory, Region } from './memory.ts';
import type { Queue } from './queue.ts';

export interface GpuKvStore extends KvStore {
  readonly layers: readonly { readonly keys: Region; readonly values: Region }[];
  /** The word at which the scales of a q8_0 or q4_0 cache begin. */
  readonly scalesAt: number;
  /** Words of a block, and of its scales. */
  readonly blockWords: number;
  readonly blockScales: number;
}

type StoreOptions = Omit<KvStore, 'blockTokens'>;

function sizesOf({ kvHeadCount, headSize, type, blockCount }: StoreOptions) {
  const rowsOfBlock = kvHeadCount * KV_BLOCK_TOKENS;
  const { numbers, words } = kvElements[type];
  const blockWords = rowsOfBlock * Math.ceil(headSize / numbers) * words;
  const blockScales = inGroups(type) ? rowsOfBlock * scaleGroups(headSize) : 0;
  return { blockWords, blockScales, sideBytes: blockCount * (blockWords + blockScales) * 4 };
}

/** Bytes of all its buffers. */
export const storeBytes = (options: StoreOptions): number => 2 * options.layerCount * sizesOf(options).sideBytes;

export function isSameStore(one: StoreOptions, other: StoreOptions): boolean {
  const keys = ['layerCount', 'blockCount', 'kvHeadCount', 'headSize', 'type'] as const;
  return keys.every((key) => one[key] === other[key]);
}

export function createKvStore(memory: Memory, options: StoreOptions): GpuKvStore {
  const { layerCount, blockCount } = options;
  const { blockWords, blockScales, sideBytes } = sizesOf(options);
  const side = (what: string) => memory.create(sideBytes, 'cache', `the cache of ${what} of a layer`);
  return {
    ...options,
    blockTokens: KV_BLOCK_TOKENS,
    layers: Array.from({ length: layerCount }, () => ({ keys: side('keys'), values: side('values') })),
    scalesAt: blockCount * blockWords,
    blockWords,
    blockScales,
  };
}

export function copyKvBlock(memory: Memory, queue: Queue, store: GpuKvStore, from: number, to: number): void {
  const { layers, scalesAt, blockWords, blockScales } = store;
  const mark = memory.mark();
  // WebGPU copies between different buffers only.
  const between = memory.take((blockWords + blockScales) * 4);
  for (const { keys, values } of layers) {
    for (const side of [keys, values]) {
      for (const [at, words] of [
        [0, blockWords],
        [scalesAt, blockScales],
      ] as const) {
        queue.copy(between, 0, side, (at + from * words) * 4, words * 4);
        queue.copy(side, (at + to * words) * 4, between, 0, words * 4);
      }
    }
  }
  memory.release(mark);
}

/** The runs of words of a block: of each layer's keys and values, the numbers and their scales. */
function* runsOf({ layers, scalesAt, blockWords, blockScales }: GpuKvStore, block: number) {
  for (const { keys, values } of layers) {
    for (const side of [keys, values]) {
      yield { side, at: block * blockWords * 4, bytes: blockWords * 4 };
      if (blockScales > 0) yield { side, at: (scalesAt + block * blockScales) * 4, bytes: blockScales * 4 };
    }
  }
}

/** A block's runs, one after another. */
export async function readKvBlock(
  memory: Memory,
  queue: Queue,
  store: GpuKvStore,
  block: number,
): Promise<Uint8Array<ArrayBuffer>> {
  const runs = [...runsOf(store, block)];
  const size = runs.reduce((sum, { bytes }) => sum + bytes, 0);
  const mark = memory.mark();
  const together = memory.take(size);
  let to = 0;
  for (const { side, at, bytes } of runs) {
    queue.copy(together, to, side, at, bytes);
    to += bytes;
  }
  const reading = queue.read(together, 0, size / 4);
  memory.release(mark);
  const { buffer, byteOffset } = await reading;
  return new Uint8Array(buffer as ArrayBuffer, byteOffset, size);
}

export function writeKvBlock(queue: Queue, store: GpuKvStore, block: number, content: Uint8Array): void {
  let from = 0;
  for (const { side, at, bytes } of runsOf(store, block)) {
    queue.write(side, content.slice(from, from + bytes), at);
    from += bytes;
  }
}
