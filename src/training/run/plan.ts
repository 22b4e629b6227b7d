/**
 * What a run needs on so many machines, by arithmetic: memory of a rank, what travels, and the time of a step. docs/scale.md compares it
 * with what was measured.
 *
 *   step = compute + what of the sums is not hidden + gathers + handling + update
 *   a sum or a gather of n numbers over N ranks   (N − 1) · latency + 4 n · (N − 1)/N / bandwidth
 *
 * Sums that travel beside the backward pass are hidden behind it, but for those of the unit that is finished last. Handling is what a rank
 * does with numbers in its own memory, before and after they travel.
 * Source   volumes: Rajbhandari et al. 2020, arXiv:1910.02054 §7.
 */
import type { LlamaConfig } from '../../model/config.ts';
import { parameterCount } from '../../model/parameters.ts';
import { PASS_TOKENS } from '../micro-batch.ts';
import { type Sharding, sharesGradients, sharesParameters } from '../ranks/sharding.ts';
import type { DerivedRecipe } from '../recipe/recipe.ts';
import { estimateMemory, flopsPerToken, type MemoryFacts } from './estimate.ts';

/** A machine, which runs one rank, and what joins it to the others. */
export interface Machine {
  /** Floating-point operations a second of a whole step's passes. */
  readonly flops: number;
  /** Bytes a second at which a rank goes over numbers in its memory: reads them and writes them elsewhere. */
  readonly copying: number;
  /** Bytes a second of what has arrived at which a rank adds it up (collective.ts). */
  readonly adding: number;
  /** Bytes a second that a rank sends, while as many come in. */
  readonly bandwidth: number;
  /** Seconds that a message takes besides. */
  readonly latency: number;
}

export interface StepPlan {
  /** Bytes of a rank on its device: weights, gradients and moments. */
  readonly device: number;
  /** Bytes of a rank beside the device: sums, its part of shared parameters, numbers on their way. */
  readonly beside: number;
  /** Bytes of a rank on its device: activations. */
  readonly activations: number;
  /** Passes of the rank that has most. */
  readonly passes: number;
  /** Bytes that a rank sends in a step. */
  readonly sent: number;
  readonly compute: number;
  /** Seconds that the sums travel, and how many of them are not hidden. */
  readonly sums: number;
  readonly exposed: number;
  readonly gathers: number;
  readonly handling: number;
  readonly update: number;
  /** Of all these. */
  readonly seconds: number;
}

/**
 * How often a rank copies numbers: those of a sum before they travel (read from the device, and packed), those of a gather after it
 * (written), and its own in an update (to the gradient, and back from the device).
 */
const SUM_COPIES = 2;
const GATHER_COPIES = 1;
const UPDATE_COPIES = 2;
/** How often the numbers of a unit are there while they travel: as they are read, as they leave, as they arrive, and as they are gathered. */
const TRAVELLING = 4;
/** Numbers that AdamW reads or writes for a parameter. */
const UPDATE_NUMBERS = 7;
/** What whole steps reach of the rate of one large product, about. */
export const STEP_RATE = 0.5;

/** The backward pass's part of the arithmetic, and how much more there is when blocks are computed again. */
const BACKWARD = 2 / 3;
const AGAIN = 4 / 3;

export interface PlannedRanks extends Pick<MemoryFacts, 'matrices' | 'isAveraged'> {
  readonly size: number;
  readonly sharding: Sharding;
  readonly overlap: boolean;
}

export function planStep(
  derived: Pick<DerivedRecipe, 'config' | 'rows' | 'microBatches' | 'recompute' | 'dropout'>,
  { size, sharding, overlap, matrices = 'adamw', isAveraged = false }: PlannedRanks,
  machine: Machine,
): StepPlan {
  const { config, rows, microBatches, recompute } = derived;
  const division = { size, sharding };
  const length = config.contextLength;
  const ownRows = Math.ceil((rows * microBatches) / size);
  const passRows = Math.min(ownRows, rows, Math.max(1, Math.floor(PASS_TOKENS / length)));
  const passes = Math.ceil(ownRows / passRows);
  const { all, outside, block, blocks } = sizesOf(config);
  const facts = { ...division, matrices, isAveraged, isDropped: derived.dropout !== null };
  const { parameters, beside, activations } = estimateMemory(config, passRows * length, recompute, facts);

  const again = recompute === 'block' ? AGAIN : 1;
  const compute = (again * flopsPerToken(config, length) * ownRows * length) / machine.flops;
  const travel = (numbers: number, units: number) =>
    size === 1 ? 0 : units * (size - 1) * machine.latency + (4 * numbers * (size - 1)) / size / machine.bandwidth;
  const sumRounds = sharesGradients(division) ? passes : 1;
  const sums = sumRounds * travel(all, blocks + 1);
  const backward = (BACKWARD * compute * sumRounds) / passes;
  const last = sumRounds * travel(outside, 1);
  const exposed = overlap ? Math.max(last, sums - backward) : sums;
  // Whole weights after the update; where blocks are shared, each of them before it is run, forward and backward.
  const blockGathers = sharesParameters(division) ? passes * (2 - 1 / blocks) : 1;
  const gathered = outside + blockGathers * blocks * block;
  const gathers = travel(gathered, 1 + blockGathers * blocks);
  const moved = sharding === 'none' ? all : all / size;
  const many = size > 1 ? 1 : 0;
  // What is summed is added up when it has arrived; and its squares are, once a step.
  const summed = many * 4 * sumRounds * all;
  const own = (many * 4 * all) / size;
  const copied =
    SUM_COPIES * summed + GATHER_COPIES * many * 4 * gathered + (sharding === 'none' ? 0 : UPDATE_COPIES * own);
  const handling = copied / machine.copying + (summed + own) / machine.adding;
  const update = (4 * UPDATE_NUMBERS * moved) / machine.copying;
  return {
    device: parameters - beside,
    beside: beside + many * 4 * TRAVELLING * Math.max(outside, block),
    activations,
    passes,
    sent: (many * 4 * (sumRounds * all + gathered) * (size - 1)) / size,
    compute,
    sums,
    exposed,
    gathers,
    handling,
    update,
    seconds: compute + exposed + gathers + handling + update,
  };
}

/** Tokens a second of a whole step. */
export function planRate({ batchTokens }: Pick<DerivedRecipe, 'batchTokens'>, { seconds }: StepPlan): number {
  return batchTokens / seconds;
}

function sizesOf(config: LlamaConfig) {
  const all = parameterCount(config);
  const outside = parameterCount({ ...config, blockCount: 0 });
  const blocks = config.blockCount;
  return { all, outside, blocks, block: (all - outside) / blocks };
}
