/**
 * The shortest time that a test could take on this machine: every weight and every cached key and value is read once per batch at the
 * full rate of the memory, or every multiply-add done at the full rate of the vector units, whichever takes longer.
 */
import { keptBytes } from '../../devices/wasm/weights.ts';
import { type KvType, kvBytes } from '../../kernels/ops.ts';
import type { Checkpoint } from '../../model/checkpoint/checkpoint.ts';
import { isWeightType } from '../../tensor/dtype.ts';
import { elementCount } from '../../tensor/tensor.ts';
import type { Limits } from './limits/limits.ts';
import type { Test } from './measure.ts';

/** What one token asks of the machine. */
export interface Work {
  /** Bytes of the matrices that a batch goes through, as they lie in memory. */
  readonly weightBytes: number;
  /** Bytes of all experts, and the part of them that one token goes through. */
  readonly expertBytes: number;
  readonly expertShare: number;
  /** Weights that every token meets, by how they are multiplied. */
  readonly int8Weights: number;
  readonly f32Weights: number;
  /** Those of the output layer, which only the last token of a prompt meets. */
  readonly headWeights: number;
  /** Per token of context: bytes read, and multiply-adds of scores and mix. */
  readonly contextBytes: number;
  readonly contextMultiplies: number;
}

export function workOf({ config, tensors }: Pick<Checkpoint, 'config' | 'tensors'>, kvType: KvType): Work {
  let [weightBytes, expertBytes, int8Weights, f32Weights, headWeights] = [0, 0, 0, 0, 0];
  const expertShare = config.experts === null ? 1 : config.experts.used / config.experts.count;
  for (const [name, { dtype, shape }] of tensors) {
    if (shape.length < 2) continue;
    const isTable = name === 'embed_VD' || name === 'positions_CD';
    const isHead = name === 'head_VD' || (name === 'embed_VD' && config.tiedEmbeddings);
    if (isTable && !isHead) continue; // a row of it is read, no more
    const isStack = shape.length === 3;
    const bytes = isWeightType(dtype) ? keptBytes(dtype, shape) : 0;
    if (isStack) expertBytes += bytes;
    else weightBytes += bytes;
    const count = elementCount(shape) * (isStack ? expertShare : 1);
    if (isHead) headWeights += count;
    else if (dtype === 'f32' || dtype === 'f16' || dtype === 'bf16') f32Weights += count;
    else int8Weights += count;
  }
  const { blockCount, kvHeadCount, headCount, headSize } = config;
  return {
    weightBytes,
    expertBytes,
    expertShare,
    int8Weights,
    f32Weights,
    headWeights,
    contextBytes: 2 * blockCount * kvHeadCount * headSize * kvBytes[kvType],
    contextMultiplies: 2 * blockCount * headCount * headSize,
  };
}

/** Seconds at the limits. */
export function shortestSeconds(
  work: Work,
  { prompt, generate, depth }: Omit<Test, 'sequences'>,
  batch: number,
  limits: Limits,
): number {
  let seconds = 0;
  for (let read = 0; read < prompt; read += batch) {
    const tokens = Math.min(batch, prompt - read);
    seconds += stepSeconds(work, tokens, depth + read, read + tokens === prompt ? 1 : 0, limits);
  }
  const start = depth + Math.max(1, prompt);
  for (let i = 0; i < generate; i++) seconds += stepSeconds(work, 1, start + i, 1, limits);
  return seconds;
}

/** Bytes of weights that a batch reads: of stacks of experts those that its tokens go through, each through others. */
export function weightBytesOf({ weightBytes, expertBytes, expertShare }: Work, tokens: number): number {
  return weightBytes + expertBytes * Math.min(1, tokens * expertShare);
}

/** One batch of `tokens` of a sequence after `past` others; `heads` of them meet the output layer. */
function stepSeconds(work: Work, tokens: number, past: number, heads: number, limits: Limits): number {
  const bytes = weightBytesOf(work, tokens) + (past + tokens) * work.contextBytes;
  const seen = tokens * past + (tokens * (tokens + 1)) / 2;
  const isInt8 = work.int8Weights > 0;
  const int8 = tokens * work.int8Weights + (isInt8 ? heads * work.headWeights : 0);
  const f32 = tokens * work.f32Weights + (isInt8 ? 0 : heads * work.headWeights) + seen * work.contextMultiplies;
  return Math.max(bytes / limits.readBytesPerSecond, int8 / limits.int8PerSecond + f32 / limits.f32PerSecond);
}
