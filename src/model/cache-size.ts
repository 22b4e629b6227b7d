/** How large an engine's cache is: said before its model is loaded, so that a device can tell whether there is room. */
import { KV_BLOCK_TOKENS, type KvStore, type KvType } from '../kernels/ops.ts';
import { longestWindow } from './choices/positions.ts';
import type { LlamaConfig } from './config.ts';

/** Rows of a step where nothing else is said. */
export const BATCH_TOKENS = 512;

export interface CacheSizes {
  readonly contextLength: number;
  readonly kvType: KvType;
  /** Positions of all sequences together; absent: of one. */
  readonly cacheTokens?: number | undefined;
  readonly batchTokens?: number | undefined;
}

/** Positions of one sequence that are held at the same time. */
export function mostHeld(config: LlamaConfig, { contextLength, batchTokens = BATCH_TOKENS }: CacheSizes): number {
  const window = longestWindow(config);
  return window === null ? contextLength : Math.min(contextLength, window + batchTokens + 2 * KV_BLOCK_TOKENS);
}

/** The cache that an engine of these sizes asks its device for. */
export function cacheOf(config: LlamaConfig, sizes: CacheSizes): Omit<KvStore, 'blockTokens'> {
  const { blockCount: layerCount, kvHeadCount, headSize } = config;
  const tokens = Math.max(mostHeld(config, sizes), sizes.cacheTokens ?? sizes.contextLength);
  return { layerCount, blockCount: Math.ceil(tokens / KV_BLOCK_TOKENS), kvHeadCount, headSize, type: sizes.kvType };
}
