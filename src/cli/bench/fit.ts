/** What this machine can do with a model, for somebody who decides: the memory that it takes, and the speed that the memory allows. */
import { keptBytes } from '../../devices/wasm/weights.ts';
import type { KvType } from '../../kernels/ops.ts';
import type { Checkpoint } from '../../model/checkpoint/checkpoint.ts';
import { dimensions, type LlamaConfig } from '../../model/config.ts';
import { isWeightType } from '../../tensor/dtype.ts';
import type { Limits } from './limits/limits.ts';
import { shortestSeconds, weightBytesOf, workOf } from './roofline.ts';

/** Rows of a prompt that are computed at once. */
const BATCH_TOKENS = 512;
/** The engine's code and tables, and memory that is set aside in large pieces. */
const FIXED_BYTES = 24 * 2 ** 20;
/** The share of the measured memory rate that decoding reaches (bench/RESULTS.md). */
const REACHED = 0.85;

export interface Fit {
  readonly contextLength: number;
  readonly kvType: KvType;
  readonly weightBytes: number;
  readonly cacheBytes: number;
  /** Activations of one batch, and what is there once. An estimate. */
  readonly scratchBytes: number;
  readonly totalBytes: number;
  readonly freeBytes: number;
  readonly fits: boolean;
  /** By cache type: the longest context that fits, at most the model's own; 0 where the weights alone do not fit. */
  readonly longestContext: Readonly<Record<KvType, number>>;
}

export function fitOf(
  checkpoint: Pick<Checkpoint, 'config' | 'tensors'>,
  { contextLength, kvType, freeBytes }: { contextLength: number; kvType: KvType; freeBytes: number },
): Fit {
  const { config } = checkpoint;
  const weightBytes = bytesOf(checkpoint);
  const scratchBytes = FIXED_BYTES + BATCH_TOKENS * 4 * activationsPerToken(config) + 4 * config.vocabSize;
  const perToken = (type: KvType) => workOf(checkpoint, type).contextBytes;
  const cacheBytes = contextLength * perToken(kvType);
  const totalBytes = weightBytes + scratchBytes + cacheBytes;
  const left = freeBytes - weightBytes - scratchBytes;
  const longest = (type: KvType) =>
    Math.max(0, Math.min(config.contextLength, Math.floor(left / Math.max(1, perToken(type)))));
  const longestContext = { f32: longest('f32'), f16: longest('f16'), q8_0: longest('q8_0'), q4_0: longest('q4_0') };
  const fits = totalBytes <= freeBytes;
  return { contextLength, kvType, weightBytes, cacheBytes, scratchBytes, totalBytes, freeBytes, fits, longestContext };
}

/** As the wasm device keeps them, which is not always as the file does. */
function bytesOf(checkpoint: Pick<Checkpoint, 'config' | 'tensors'>): number {
  let bytes = 0;
  for (const { dtype, shape } of checkpoint.tensors.values()) if (isWeightType(dtype)) bytes += keptBytes(dtype, shape);
  return bytes;
}

/** Numbers that one row of a batch leaves behind in a block, all kept until the block's end. */
function activationsPerToken(config: LlamaConfig): number {
  const { D, Q, P, F } = dimensions(config);
  return 4 * D + 2 * Q + 2 * P + 3 * F;
}

export interface Speed {
  readonly threads: number;
  readonly readBytesPerSecond: number;
  /** Bytes that one token at the beginning of a context reads. */
  readonly bytesPerToken: number;
  /** Expected tokens a second, at the beginning of a context and at its end. */
  readonly tokensPerSecond: number;
  readonly tokensPerSecondAtEnd: number;
}

export function speedOf(
  checkpoint: Pick<Checkpoint, 'config' | 'tensors'>,
  { contextLength, kvType }: Pick<Fit, 'contextLength' | 'kvType'>,
  limits: Limits,
  threads: number,
): Speed {
  const work = workOf(checkpoint, kvType);
  const rate = (depth: number) =>
    REACHED / shortestSeconds(work, { prompt: 0, generate: 1, depth }, BATCH_TOKENS, limits);
  return {
    threads,
    readBytesPerSecond: limits.readBytesPerSecond,
    bytesPerToken: weightBytesOf(work, 1),
    tokensPerSecond: rate(0),
    tokensPerSecondAtEnd: rate(Math.max(0, contextLength - 1)),
  };
}
