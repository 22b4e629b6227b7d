import { formatBytes, formatCount, formatDuration } from '../../../../base/units.ts';
import type { Device } from '../../../../devices/device.ts';
import type { Collective } from '../../../../training/collective.ts';
import type { Source } from '../../../../training/data/packer.ts';
import { PASS_TOKENS } from '../../../../training/micro-batch.ts';
import type { DerivedRecipe, Recipe } from '../../../../training/recipe.ts';
import { estimateMemory, flopsPerToken } from '../../../../training/run/estimate.ts';

/** What is said before the first step, and what heads the report. */
export function describeRun(
  recipe: Recipe,
  derived: DerivedRecipe,
  device: Device,
  peakFlops: number,
  sources: readonly Source[],
  { size }: Collective,
): (readonly [string, string])[] {
  const { config } = derived;
  const rankTokens = Math.ceil(derived.rows / size) * config.contextLength;
  const tokens = Math.min(rankTokens, Math.max(PASS_TOKENS, config.contextLength));
  const memory = estimateMemory(config, tokens, derived.recompute, size);
  const all = derived.totalSteps * derived.batchTokens;
  // Steps reach about half of the rate of one large product.
  const seconds = (flopsPerToken(config, config.contextLength) * all) / (0.5 * peakFlops * size);
  const available = sources.reduce((sum, { documents }) => sum + documents.tokenCount, 0);
  return [
    [
      'model',
      `${formatCount(derived.parameters)} parameters, ${config.blockCount} blocks of width ${config.width}, ${config.headCount} heads, vocabulary ${config.vocabSize}, context ${config.contextLength}`,
    ],
    ['derived', derived.notes.join('; ') || 'nothing'],
    [
      'data',
      `${formatCount(available)} tokens in ${sources.length} ${sources.length === 1 ? 'source' : 'sources'}, seed ${recipe.seed}`,
    ],
    [
      'training',
      `${derived.totalSteps} steps of ${derived.batchTokens} tokens (${formatCount(all)}), ${derived.microBatches} ${derived.microBatches === 1 ? 'micro-batch' : 'micro-batches'} of ${derived.rows} × ${config.contextLength}, learning rate ${derived.learningRate}, ${derived.warmupSteps} steps of warm-up, schedule ${recipe.training.schedule}`,
    ],
    [
      'device',
      `${size > 1 ? `${size} ranks, each ` : ''}${device.description}; large matrix products at ${(peakFlops / 1e9).toFixed(0)} GFLOP/s`,
    ],
    [
      'memory',
      `about ${formatBytes(memory.parameters)} for weights, gradients and moments, ${formatBytes(memory.activations)} for activations (recompute: ${derived.recompute})`,
    ],
    ['time', `about ${formatDuration(seconds)} at half of that rate`],
  ];
}
