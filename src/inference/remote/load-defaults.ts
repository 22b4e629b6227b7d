import { ArgumentError } from '../../base/errors.ts';
import { type KvType, kvBytes } from '../../kernels/ops.ts';
import type { Checkpoint } from '../../model/checkpoint/checkpoint.ts';
import type { LlamaConfig } from '../../model/config.ts';

/** Context where none is asked for: a cache for 128k tokens is not something to allocate by default. */
export const DEFAULT_CONTEXT = 4096;

/** The context of an engine: what was asked for, else the model's own up to the default. Throws ArgumentError `load.context`. */
export function contextOf(config: LlamaConfig, wanted: number | null): number {
  if (wanted === null) return Math.min(config.contextLength, DEFAULT_CONTEXT);
  const tableEnds = config.positions === 'learned' && wanted > config.contextLength;
  if (Number.isInteger(wanted) && wanted >= 1 && wanted <= 1 << 24 && !tableEnds) return wanted;
  throw new ArgumentError(
    'load.context',
    `load: contextLength is ${wanted}, expected a whole number in 1 … ${config.positions === 'learned' ? config.contextLength : 1 << 24}. ` +
      `This model was made for ${config.contextLength}; leave the option out for the default.`,
  );
}

/** A cache of several contexts, where nobody said how large, takes no more than this. */
const DEFAULT_CACHE_BYTES = 2 ** 29;
/**
 * Tokens that the cache holds, of all sequences together: where nobody said, a context for each that may run at the same time as far
 * as DEFAULT_CACHE_BYTES go. The engine takes one context at least.
 */
export function cacheTokensOf(
  config: LlamaConfig,
  { contextLength, kvType, sequences }: { contextLength: number; kvType: KvType; sequences: number },
): number {
  return Math.min(sequences * contextLength, Math.floor(DEFAULT_CACHE_BYTES / cacheTokenBytes(config, kvType)));
}

/** What the cache holds of one token: a key and a value of every block, 2·blocks·K·E numbers. */
export function cacheTokenBytes({ blockCount, kvHeadCount, headSize }: LlamaConfig, kvType: KvType): number {
  return 2 * blockCount * kvHeadCount * headSize * kvBytes[kvType];
}

/** The cache is as precise as the weights: f32 for a model stored in f32, f16 for all others. */
export function kvTypeOf({ tensors }: Pick<Checkpoint, 'tensors'>): KvType {
  for (const { dtype, shape } of tensors.values()) if (shape.length > 1 && dtype !== 'f32') return 'f16';
  return 'f32';
}
