import { formatBytes, formatCount, formatDuration } from '../../../../base/units.ts';
import type { Device } from '../../../../devices/device.ts';
import type { Collective } from '../../../../training/collective.ts';
import type { Source } from '../../../../training/data/packer.ts';
import { PASS_TOKENS } from '../../../../training/micro-batch.ts';
import type { DerivedRecipe, Recipe } from '../../../../training/recipe/recipe.ts';
import { estimateMemory, flopsPerToken, type MemoryEstimate } from '../../../../training/run/estimate.ts';
import { STEP_RATE } from '../../../../training/run/plan.ts';
import type { StartModel } from '../start-model.ts';

export interface DescribedRun {
  readonly recipe: Recipe;
  readonly derived: DerivedRecipe;
  readonly start: StartModel | null;
  readonly device: Device;
  readonly peakFlops: number;
  readonly sources: readonly Source[];
  readonly collective: Collective;
}

/** What is said before the first step, and what heads the report. */
export function describeRun(run: DescribedRun): (readonly [string, string])[] {
  const { recipe, derived, start, device, peakFlops, sources } = run;
  const { size } = run.collective;
  const { config } = derived;
  const { ema, sharding } = recipe.training;
  const isAveraged = ema !== undefined;
  const memory = memoryOf(recipe, derived, size);
  const all = derived.totalTokens;
  const seconds = (flopsPerToken(config, config.contextLength) * all) / (STEP_RATE * peakFlops * size);
  return [
    [
      'model',
      `${formatCount(derived.parameters)} parameters, ${config.blockCount} blocks of width ${config.width}, ${config.headCount} heads, vocabulary ${config.vocabSize}, context ${config.contextLength}`,
    ],
    ...(start
      ? [['goes on from', `${start.name}: its ${start.types} weights as f32, its shape, its tokens`] as const]
      : []),
    ['derived', derived.notes.join('; ') || 'nothing'],
    [
      'data',
      `${epochsOf(sources, all)
        .map(({ words }) => words)
        .join('; ')}; seed ${recipe.seed}`,
    ],
    [
      'training',
      `${derived.totalSteps} steps of ${batchOf(derived)} tokens (${formatCount(all)}), ${derived.microBatches} ${derived.microBatches === 1 ? 'micro-batch' : 'micro-batches'} of ${derived.rows} × ${config.contextLength}, learning rate ${ratesOf(recipe, derived)}, ${derived.warmupSteps} steps of warm-up, schedule ${recipe.training.schedule}`,
    ],
    [
      'device',
      `${size > 1 ? `${size} ranks, each ` : ''}${device.description}; large matrix products at ${(peakFlops / 1e9).toFixed(0)} GFLOP/s`,
    ],
    [
      'memory',
      `about ${formatBytes(memory.parameters)} for weights, gradients${isAveraged ? ', moments and the average' : ' and moments'}, ${formatBytes(memory.activations)} for activations (recompute: ${derived.recompute})${size > 1 ? ` on each rank; sharded: ${sharding}` : ''}`,
    ],
    ['time', `about ${formatDuration(seconds)} at half of that rate`],
  ];
}

/** What a rank needs. */
export function memoryOf({ training }: Recipe, derived: DerivedRecipe, size: number): MemoryEstimate {
  const { config, recompute, dropout } = derived;
  const { ema, sharding, matrices } = training;
  const rows = Math.min(derived.rows, Math.ceil((derived.rows * derived.microBatches) / size));
  const tokens = Math.min(rows * config.contextLength, Math.max(PASS_TOKENS, config.contextLength));
  const facts = { size, sharding, matrices, isAveraged: ema !== undefined, isDropped: dropout !== null };
  return estimateMemory(config, tokens, recompute, facts);
}

function batchOf({ ramp, batchTokens, microBatches }: DerivedRecipe): string {
  if (ramp.rampTokens === 0) return String(batchTokens);
  const first = (batchTokens / microBatches) * ramp.first;
  return `${first} to ${batchTokens} (growing over the first ${formatCount(ramp.rampTokens)})`;
}

function ratesOf({ training }: Recipe, { learningRate }: DerivedRecipe): string {
  const { embeddingLearningRate: embeddings, headLearningRate: head } = training;
  const others = [embeddings && `${embeddings} for embeddings`, head && `${head} for the head`].filter(Boolean);
  return others.length === 0 ? String(learningRate) : `${learningRate} (${others.join(', ')})`;
}

/** Beyond this many epochs a text teaches less and less: Muennighoff et al. 2023, arXiv:2305.16264. */
const USEFUL_EPOCHS = 4;

function epochsOf(sources: readonly Source[], tokens: number): { readonly words: string; readonly epochs: number }[] {
  const shares = sources.reduce((sum, { share }) => sum + share, 0);
  return sources.map(({ share, documents: { name, tokenCount } }) => {
    const epochs = (tokens * share) / shares / tokenCount;
    const words = `${rounded(epochs)} epochs of ${formatCount(tokenCount)} tokens`;
    return { words: sources.length === 1 ? words : `${name}: ${words}`, epochs };
  });
}

function rounded(epochs: number): string {
  return epochs < 0.1 ? epochs.toPrecision(1) : epochs < 10 ? epochs.toFixed(1) : String(Math.round(epochs));
}

/** Sources that are seen so often that more text would teach more. */
export function epochWarnings(sources: readonly Source[], { totalTokens }: DerivedRecipe): string[] {
  return epochsOf(sources, totalTokens)
    .filter(({ epochs }) => epochs > USEFUL_EPOCHS)
    .map(
      ({ words }) =>
        `warning: ${words}: beyond about ${USEFUL_EPOCHS} a text teaches less each time; give more text, or lower training.tokens`,
    );
}
