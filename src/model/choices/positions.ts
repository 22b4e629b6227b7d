/** How a model knows the order of its tokens: rotations of queries and keys, or positions that are added to the embedding. */

import type { Batch } from '../../kernels/batch.ts';
import type { Ops } from '../../kernels/ops.ts';
import type { Tensor } from '../../tensor/tensor.ts';
import type { LlamaConfig } from '../config.ts';
import { ropeFrequencies } from '../rope-frequencies.ts';
import { asItIs, type Step } from './norm.ts';

/**
 * The rotations of a batch's rows, once for all blocks. `sliding` differs where blocks with a window have a theta of their own; `growing`
 * is for queries that are lengthened by their position: it turns them as `full` does, or not at all where those are of blocks without rotations.
 */
export interface Rotations {
  readonly full_NE: Tensor;
  readonly sliding_NE: Tensor;
  readonly growing_NE: Tensor | null;
}
export type RotationsOf = (ops: Ops, positions_N: Uint32Array) => Rotations | null;

/** null where nothing is rotated. `runLength`: the longest sequence that will be run; some scalings depend on it. */
export function rotationsOf(config: LlamaConfig, runLength: number): RotationsOf {
  if (config.positions !== 'rope') return () => null;
  const { slidingTheta, queryGrowth: growth } = config;
  const full = ropeFrequencies(config, runLength);
  const sliding =
    slidingTheta && ropeFrequencies({ ...config, ropeTheta: slidingTheta, ropeScaling: { kind: 'none' } });
  const unturned = { inverse: new Float64Array(config.headSize / 2), magnitude: 1 };
  const growing = growth && { ...(growth.blocks === 'all' ? full : unturned), growth };
  return (ops, positions_N) => {
    const full_NE = ops.rotation(positions_N, full);
    return {
      full_NE,
      sliding_NE: sliding ? ops.rotation(positions_N, sliding) : full_NE,
      growing_NE: growing && ops.rotation(positions_N, growing),
    };
  };
}

/** Turns queries or keys: the norm that they may have, then the rotation of their positions. `tap` hears of them before they are rotated. */
export type Turn = (ops: Ops, x_NQ: Tensor, rotations: Rotations | null, tap: (plain_NQ: Tensor) => void) => Tensor;

export function turnOf(config: LlamaConfig, block: number, of: 'queries' | 'keys', gain: Tensor | undefined): Turn {
  const { qkNorm, normEps, headSize } = config;
  const isRotated = config.positions === 'rope' && config.rotatedBlocks?.[block] !== false;
  const unit: Step = (ops, x_NQ) => ops.rmsNorm(x_NQ, ops.ones([headSize], x_NQ), normEps);
  const norm: Step = gain
    ? (ops, x_NQ) => ops.rmsNorm(x_NQ, gain, normEps)
    : qkNorm === 'unit' && isRotated
      ? unit
      : asItIs;
  const plain = windowOf(config, block) === null ? 'full_NE' : 'sliding_NE';
  const grows = of === 'queries' && config.queryGrowth?.blocks === (isRotated ? 'all' : 'unrotated');
  const which = grows ? 'growing_NE' : plain;
  const isTurned = isRotated || grows;
  return (ops, x_NQ, rotations, tap) => {
    const plain_NQ = norm(ops, x_NQ);
    tap(plain_NQ);
    return isTurned ? ops.rope(plain_NQ, rotations![which]!) : plain_NQ;
  };
}

/** The block's sliding window; null: it sees everything before. */
export function windowOf({ slidingWindow, slidingBlocks }: LlamaConfig, block: number): number | null {
  return slidingBlocks === null || slidingBlocks[block] ? slidingWindow : null;
}

/** How many positions, its own among them, any block's queries see; null: some block sees everything before. */
export function longestWindow(config: LlamaConfig): number | null {
  const windows = Array.from({ length: config.blockCount }, (_, block) => windowOf(config, block));
  return windows.includes(null) ? null : Math.max(...(windows as number[]));
}

/** Token ids → x_ND. The lab's absolute positions are added here; in the papers the embedding is taken as it is. */
export type Embed = (ops: Ops, batch: Batch) => Tensor;

export function embedOf(config: LlamaConfig, embed_VD: Tensor, positions_CD: Tensor | undefined): Embed {
  const { positions, embeddingScale } = config;
  const plain: Embed = (ops, { ids }) => ops.embed(embed_VD, ids);
  const scaled: Embed =
    embeddingScale === 1 ? plain : (ops, batch) => ops.scale(ops.embed(embed_VD, batch.ids), embeddingScale);
  if (positions === 'learned') {
    return (ops, batch) => ops.add(scaled(ops, batch), ops.embed(positions_CD!, batch.positions));
  }
  if (positions === 'sinusoidal') return (ops, batch) => ops.addSinusoids(scaled(ops, batch), batch.positions);
  return scaled;
}
