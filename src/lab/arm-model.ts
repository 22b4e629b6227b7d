/** From an arm of the table to a model and a training, comparable to the baseline's. */
import { ArgumentError } from '../base/errors.ts';
import { isGated, type LlamaConfig, metaFfnWidth, paperChoices } from '../model/config.ts';
import { parameterCount } from '../model/parameters.ts';
import { type OptimizerOptions, paperOptimizer } from '../training/optimizer.ts';
import { flopsPerToken } from '../training/run/estimate.ts';
import type { Arm, ArmChanges } from './experiments.ts';

/** Sizes of the models of one lab, and how they are trained. */
export interface LabSize {
  readonly width: number;
  readonly blocks: number;
  readonly heads: number;
  readonly vocabSize: number;
  readonly length: number;
  /** Tokens of one run, and of one step. */
  readonly tokens: number;
  readonly batchTokens: number;
}

/** One training: all that its numbers follow from, but for the text. */
export interface LabTraining {
  readonly config: LlamaConfig;
  readonly seed: number;
  readonly steps: number;
  readonly rows: number;
  readonly learningRate: number;
  readonly warmupSteps: number;
  readonly optimizer: OptimizerOptions;
  readonly clip: number | null;
  /** Evaluations, evenly spread; the last is after the last step. */
  readonly evaluations: number;
}

/** LLaMA 7B's 3e-4 at width 4,096, as recipes derive it. */
export const derivedRate = (width: number): number => 3e-4 * Math.sqrt(4096 / width);

const EVALUATIONS = 15;
/** Widths of feed-forward layers are multiples of this: kernels take four numbers at a time. */
const WIDTH_STEP = 4;
/** How far from the baseline's parameters an arm may be. */
const TOLERANCE = 0.01;

export function baselineConfig(size: LabSize): LlamaConfig {
  const { width, blocks, heads, vocabSize, length } = size;
  return {
    ...paperChoices,
    width,
    blockCount: blocks,
    headCount: heads,
    kvHeadCount: heads,
    headSize: width / heads,
    ffnWidth: metaFfnWidth(width, 32, null),
    vocabSize,
    contextLength: length,
    normEps: 1e-5,
    ropeTheta: 10000,
    ropeScaling: { kind: 'none' },
    tiedEmbeddings: true,
    attentionBias: false,
    slidingWindow: null,
  };
}

/** Throws ArgumentError `lab.match` where no feed-forward width gives the baseline's number of parameters. */
export function armConfig(arm: Arm, size: LabSize): LlamaConfig {
  const { changes, match = 'parameters' } = arm;
  const base = baselineConfig(size);
  const { norm, normPlacement, qkNorm, positions, activation } = { ...base, ...changes };
  const changed = {
    ...base,
    norm,
    normPlacement,
    qkNorm,
    positions,
    activation,
    kvHeadCount: kvHeads(changes, base.headCount),
    // Sinusoids have amplitude 1: beside embeddings of deviation 0.02 the word would drown (Vaswani et al. 2017 §3.4 multiply by √D).
    embeddingScale: positions === 'sinusoidal' ? Math.sqrt(base.width) : 1,
  };
  if (changes.ffnWidths !== undefined) return { ...changed, ffnWidth: changes.ffnWidths * base.width };
  if (match !== 'parameters') return changed;
  return { ...changed, ffnWidth: matchedWidth(arm.name, changed, parameterCount(base)) };
}

function kvHeads({ kvHeads }: ArmChanges, heads: number): number {
  if (kvHeads === undefined) return heads;
  if (kvHeads === 'one') return 1;
  const root = Math.sqrt(heads);
  if (Number.isInteger(root)) return root;
  throw new ArgumentError('lab.heads', `√H key heads: expected heads that have a whole root, found ${heads}.`);
}

/**
 * The feed-forward width at which the model has as many parameters as the baseline. A table of learned positions is not taken from
 * it: what it adds is reported, as nothing else could hold it.
 */
function matchedWidth(name: string, config: LlamaConfig, wanted: number): number {
  const own = config.positions === 'learned' ? config.contextLength * config.width : 0;
  const perWidth = config.blockCount * config.width * (isGated(config.activation) ? 3 : 2);
  const others = parameterCount({ ...config, ffnWidth: WIDTH_STEP }) - WIDTH_STEP * perWidth - own;
  const width = Math.max(WIDTH_STEP, WIDTH_STEP * Math.round((wanted - others) / perWidth / WIDTH_STEP));
  const found = others + width * perWidth;
  if (Math.abs(found / wanted - 1) <= TOLERANCE) return width;
  throw new ArgumentError(
    'lab.match',
    `${name}: expected ${wanted} parameters within 1 %, found ${found} at a feed-forward width of ${width}. Use a larger model.`,
  );
}

export interface TrainingChoice {
  readonly seed: number;
  /** A factor of the derived learning rate. */
  readonly rate?: number;
  /** A factor of the tokens. */
  readonly share?: number;
  /** A factor of the batch, at equal tokens. */
  readonly batch?: number;
}

export function armTraining(
  arm: Arm,
  size: LabSize,
  { seed, rate = 1, share = 1, batch = 1 }: TrainingChoice,
): LabTraining {
  const config = armConfig(arm, size);
  const base = baselineConfig(size);
  const flops = flopsPerToken(base, size.length) / flopsPerToken(config, size.length);
  const tokens = size.tokens * share * (arm.match === 'flops' ? flops : 1);
  const rows = Math.max(1, Math.round((size.batchTokens * batch) / size.length));
  const steps = Math.max(1, Math.round(tokens / (rows * size.length)));
  const { warmup = true, optimizer = {}, clip = 1 } = arm.changes;
  return {
    config,
    seed,
    steps,
    rows,
    learningRate: derivedRate(size.width) * rate,
    warmupSteps: warmup ? Math.max(1, Math.round(0.02 * steps)) : 0,
    optimizer: { ...paperOptimizer, ...optimizer },
    clip,
    evaluations: Math.min(EVALUATIONS, steps),
  };
}
