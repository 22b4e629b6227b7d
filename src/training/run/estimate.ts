/** What a run will need, before its first step. */

import type { Recompute } from '../../autograd/tape.ts';
import type { LlamaConfig } from '../../model/config.ts';
import { dimensions, isGated } from '../../model/config.ts';
import { parameterCount } from '../../model/parameters.ts';

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
): { readonly [policy in Recompute]: number } & { readonly working: number } {
  const { D, H, Q, P, F } = dimensions(config);
  const projections = isGated(config.activation) ? 2 : 1;
  const none = 6 * D + 3 * Q + 3 * P + (projections + 1) * F + H;
  return { none, cheap: 3 * D + 2 * Q + 2 * P + projections * F + H, block: D, working: 2 * none };
}

export interface MemoryEstimate {
  /** Weights, gradients, two moments and, where it is kept, the weights' average: 4 bytes each. */
  readonly parameters: number;
  readonly activations: number;
}

export function estimateMemory(
  config: LlamaConfig,
  tokens: number,
  recompute: Recompute,
  { ranks = 1, isAveraged = false }: { readonly ranks?: number; readonly isAveraged?: boolean } = {},
): MemoryEstimate {
  const floats = floatsPerToken(config);
  const count = parameterCount(config);
  const logits = 16 * 2 ** 20;
  return {
    parameters: count * (8 + 8 / ranks + (isAveraged ? 4 : 0)),
    activations: 4 * tokens * (config.blockCount * floats[recompute] + floats.working) + 2 * logits,
  };
}
