import { BLOCK_POSITIONS, cacheLayout } from '../../kernels/attention/cached/layout.ts';
import type { KvStore } from '../../kernels/ops.ts';
import type { Segment } from './segment.ts';

export const BLOCK_TOKENS = BLOCK_POSITIONS;

/** Each layer's blocks lie in the segment of its weights. */
export interface WasmKvStore extends KvStore {
  readonly layers: readonly { readonly segment: Segment; readonly pointer: number }[];
  /** One block of one head. */
  readonly chunkBytes: number;
}

export function createKvStore(
  options: Omit<KvStore, 'blockTokens'>,
  segmentOf: (layer: number) => Segment,
): WasmKvStore {
  const { layerCount, blockCount, kvHeadCount, headSize, type } = options;
  const { chunkBytes } = cacheLayout(type, headSize);
  const layers = Array.from({ length: layerCount }, (_, layer) => {
    const segment = segmentOf(layer);
    const bytes = chunkBytes * kvHeadCount * blockCount;
    const pointer = segment.allocate(
      bytes,
      `the ${type} KV cache of layer ${layer} (${blockCount * BLOCK_TOKENS} positions)`,
    );
    segment.cacheBytes += bytes;
    return { segment, pointer };
  });
  return { ...options, blockTokens: BLOCK_TOKENS, layers, chunkBytes };
}

export function copyKvBlock(store: WasmKvStore, from: number, to: number): void {
  const { chunkBytes, blockCount, kvHeadCount } = store;
  for (const { segment, pointer } of store.layers) {
    for (let head = 0; head < kvHeadCount; head++) {
      const chunks = pointer + head * blockCount * chunkBytes;
      segment.copyWithin(chunks + to * chunkBytes, chunks + from * chunkBytes, chunkBytes);
    }
  }
}

/** Where a block's chunks lie: layer by layer, head by head. */
function* chunksOf({ layers, blockCount, kvHeadCount, chunkBytes }: WasmKvStore, block: number) {
  for (const { segment, pointer } of layers) {
    for (let head = 0; head < kvHeadCount; head++) {
      yield segment.bytesAt(pointer + (head * blockCount + block) * chunkBytes, chunkBytes);
    }
  }
}

/** A block's chunks in one run of bytes. */
export function readKvBlock(store: WasmKvStore, block: number): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(store.layers.length * store.kvHeadCount * store.chunkBytes);
  let at = 0;
  for (const chunk of chunksOf(store, block)) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

export function writeKvBlock(store: WasmKvStore, block: number, bytes: Uint8Array): void {
  let at = 0;
  for (const chunk of chunksOf(store, block)) {
    chunk.set(bytes.subarray(at, at + chunk.length));
    at += chunk.length;
  }
}
