/** What a run will need, before its first step. */

import type { Recompute } from '../../autograd/tape.ts';
import type { LlamaConfig } from '../../model/config.ts';
import { dimensions, isGated } from '../../model/config.ts';
import { listParameters, parameterCount } from '../../model/parameters.ts';
import { elementCount } from '../../tensor/tensor.ts';
import { isMuons } from '../ranks/parts.ts';
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
  /** Weights, gradients, on several ranks their sums, moments (two, and one of what Muon moves) and, where it is kept, the weights' average: 4 bytes each. */
  readonly parameters: number;
  /** Those of them that several ranks hold outside of the device: sums, and their parts of what is shared. */
  readonly beside: number;
  readonly activations: number;
}

/** What it depends on besides the model; what is absent is as on one rank, with AdamW and no more. */
export interface MemoryFacts extends Partial<Pick<Division, 'size' | 'sharding' | 'matrices'>> {
  readonly isAveraged?: boolean;
  readonly isDropped?: boolean;
}

/** What a rank needs (ranks/sharding.ts): of what is shared its part, and one block as it is at work. */
export function estimateMemory(
  config: LlamaConfig,
  tokens: number,
  recompute: Recompute,
  { size = 1, sharding = 'none', matrices = 'adamw', isAveraged = false, isDropped = false }: MemoryFacts = {},
): MemoryEstimate {
  const floats = floatsPerToken(config, isDropped);
  const logits = 16 * 2 ** 20;
  const division = { size, sharding, matrices };
  const blocks = sharesParameters(division) ? (isAveraged ? 2 : 1) * inBlocksCount(config) : 0;
  return {
    parameters: 4 * stateCount(config, division, isAveraged),
    beside: size === 1 ? 0 : (4 * (parameterCount(config) + blocks)) / size,
    activations: 4 * tokens * (config.blockCount * floats[recompute] + floats.working) + 2 * logits,
  };
}

function inBlocksCount(config: LlamaConfig): number {
  return parameterCount(config) - parameterCount({ ...config, blockCount: 0 });
}

function stateCount(config: LlamaConfig, division: Omit<Division, 'rank'>, isAveraged: boolean): number {
  const all = parameterCount(config);
  const { size, sharding, matrices } = division;
  const inBlocks = inBlocksCount(config);
  const ofMuon = listParameters(config).filter((parameter) => isMuons(parameter, matrices));
  const moments = 2 * all - ofMuon.reduce((sum, { shape }) => sum + elementCount(shape), 0);
  if (size === 1) return 2 * all + moments + (isAveraged ? all : 0);
  const present = all - inBlocks + inBlocks / config.blockCount;
  const shared = all - inBlocks + inBlocks / size;
  const parameters = sharesParameters(division) ? present + inBlocks / size : all;
  const averages = isAveraged ? (sharesParameters(division) ? shared : all) : 0;
  const gradients = sharesGradients(division) ? present : all;
  return parameters + gradients + all / size + (sharding === 'none' ? moments : moments / size) + averages;
}
