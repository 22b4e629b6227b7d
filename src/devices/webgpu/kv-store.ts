/** The paged cache on the GPU: per layer a buffer of keys and one of values; their layout: kernels/attention/webgpu.ts. */
import { scaleGroups } from '../../kernels/attention/webgpu.ts';
import { KV_BLOCK_TOKENS, type KvStore, type KvType } from '../../kernels/ops.ts';
import type { Memory, Region } from './memory.ts';
import type { Queue } from './queue.ts';

export interface GpuKvStore extends KvStore {
  readonly layers: readonly { readonly keys: Region; readonly values: Region }[];
  /** The word at which the scales of a q8_0 cache begin. */
  readonly scalesAt: number;
  /** Words of a block, and of its scales. */
  readonly blockWords: number;
  readonly blockScales: number;
}

const bytesOf: { readonly [type in KvType]: number } = { f32: 4, f16: 2, q8_0: 1 };

export function createKvStore(memory: Memory, options: Omit<KvStore, 'blockTokens'>): GpuKvStore {
  const { layerCount, blockCount, kvHeadCount, headSize, type } = options;
  const rowsOfBlock = kvHeadCount * KV_BLOCK_TOKENS;
  const blockWords = (rowsOfBlock * Math.ceil(headSize / 4) * 4 * bytesOf[type]) / 4;
  const blockScales = type === 'q8_0' ? rowsOfBlock * scaleGroups(headSize) : 0;
  const bytes = blockCount * (blockWords + blockScales) * 4;
  const side = (what: string) => memory.create(bytes, 'cache', `the cache of ${what} of a layer`);
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
