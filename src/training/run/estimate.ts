/** What a run will need, before its first step. */

import type { Recompute } from '../../autograd/tape.ts';
import type { LlamaConfig } from '../../model/config.ts';
import { dimensions, isGated } from '../../model/config.ts';
import { parameterCount } from '../../model/parameters.ts';
import { type Division, sharesGradients, sharesParameters } from '../ranks/sharding.ts';

/**
 * Floating-point operations of one token's forward and backward pass: 6 for every weight that multiplies, and attention's two
 * products over half of the context, forward and twice as much backward.
 */
export function flopsPerToken(config: LlamaConfig, length: number): number {
  const { D, V, Q, P, F } = dimensions(config);
  const perBlock = D * Q + 2 * D * P + Q * D + (isGated(config.activation) ? 3 : 2) * D * F;
  return 6 * (config.blockCount * perBlock + V * D) + 6 * config.blockCount * length * Q;
}

/** Floats that one token leaves in one block until the backward pass, by policy; the last is what a block needs while it is worked on. */
function floatsPerToken(
  config: LlamaConfig,
  isDropped: boolean,
): { readonly [policy in Recompute]: number } & { readonly working: number } {
  const { D, H, Q, P, F } = dimensions(config);
  const projections = isGated(config.activation) ? 2 : 1;
  // What is dropped of both branches is a copy of them.
  const none = (isDropped ? 8 : 6) * D + 3 * Q + 3 * P + (projections + 1) * F + H;
  return { none, cheap: 3 * D + 2 * Q + 2 * P + projections * F + H, block: D, working: 2 * none };
}

export interface MemoryEstimate {
  /** Weights, gradients, on several ranks their sums, two moments and, where it is kept, the weights' average: 4 bytes each. */
  readonly parameters: number;
  readonly activations: number;
}

/** What a rank needs (ranks/sharding.ts): of what is shared its part, and one block as it is at work. */
export function estimateMemory(
  config: LlamaConfig,
  tokens: number,
  recompute: Recompute,
  {
    size = 1,
    sharding = 'none',
    isAveraged = false,
    isDropped = false,
  }: Partial<Pick<Division, 'size' | 'sharding'>> & {
    readonly isAveraged?: boolean;
    readonly isDropped?: boolean;
  } = {},
): MemoryEstimate {
  const floats = floatsPerToken(config, isDropped);
  const logits = 16 * 2 ** 20;
  return {
    parameters: 4 * (stateCount(config, { size, sharding }) + (isAveraged ? parameterCount(config) : 0)),
    activations: 4 * tokens * (config.blockCount * floats[recompute] + floats.working) + 2 * logits,
  };
}

function stateCount(config: LlamaConfig, division: Pick<Division, 'size' | 'sharding'>): number {
  const all = parameterCount(config);
  const { size } = division;
  if (size === 1) return 4 * all;
  const outside = parameterCount({ ...config, blockCount: 0 });
  const present = outside + (all - outside) / config.blockCount;
  const parameters = sharesParameters(division) ? present + (all - outside) / size : all;
  const gradients = sharesGradients(division) ? present : all;
  const moments = 2 * (division.sharding === 'none' ? all : all / size);
  return parameters + gradients + all / size + moments;
}
