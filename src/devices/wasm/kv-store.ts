import type { KvStore, KvType } from '../../kernels/ops.ts';
import type { Segment } from './segment.ts';

/** Positions of a block; the kernels count on it (kernels/attention/kv.assembly.ts). */
export const BLOCK_TOKENS = 32;

export const kvTypeNumbers = { f32: 0, f16: 1, q8_0: 2 } as const satisfies Record<KvType, number>;

/** Each layer's blocks lie in the segment of its weights. */
export interface WasmKvStore extends KvStore {
  readonly layers: readonly { readonly segment: Segment; readonly pointer: number }[];
  /** One block of one layer: all heads. */
  readonly blockBytes: number;
}

export function createKvStore(
  options: Omit<KvStore, 'blockTokens'>,
  segmentOf: (layer: number) => Segment,
): WasmKvStore {
  const { layerCount, blockCount, kvHeadCount, headSize, type } = options;
  const chunkBytes = segmentOf(0).kernels.kvChunkBytes(kvTypeNumbers[type], headSize);
  const blockBytes = chunkBytes * kvHeadCount;
  const layers = Array.from({ length: layerCount }, (_, layer) => {
    const segment = segmentOf(layer);
    const bytes = blockBytes * blockCount;
    const pointer = segment.allocate(
      bytes,
      `the ${type} KV cache of layer ${layer} (${blockCount * BLOCK_TOKENS} positions)`,
    );
    segment.cacheBytes += bytes;
    return { segment, pointer };
  });
  return { ...options, blockTokens: BLOCK_TOKENS, layers, blockBytes };
}

export function copyKvBlock(store: WasmKvStore, from: number, to: number): void {
  const { blockBytes } = store;
  for (const { segment, pointer } of store.layers) {
    segment.copyWithin(pointer + to * blockBytes, pointer + from * blockBytes, blockBytes);
  }
}
