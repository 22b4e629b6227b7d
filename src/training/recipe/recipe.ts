/**
 * A training recipe: what a recipe file may say, checked at once and completely. One dial, `model.depth`, decides what the file
 * leaves open; deriveRecipe says how.
 */

import { type Recompute, recomputePolicies } from '../../autograd/tape.ts';
import { ConfigError } from '../../base/errors.ts';
import {
  configProblems,
  isGated,
  type LlamaConfig,
  labChoices,
  metaFfnWidth,
  paperChoices,
} from '../../model/config.ts';
import { parameterCount } from '../../model/parameters.ts';
import { shardings } from '../ranks/sharding.ts';
import type { DropoutOptions } from '../step/dropping.ts';
import { type BatchRamp, stepsOf } from './batch-ramp.ts';
import { type Checked, check, type Schema } from './schema.ts';

const positive = { kind: 'number', min: 0, above: true } as const;
const count = { kind: 'integer', min: 1 } as const;
const dropped = { kind: 'number', min: 0, max: 0.9 } as const;

/** Every key of a recipe. An unknown key is an error. */
export const recipeSchema = {
  kind: 'object',
  keys: {
    name: { kind: 'text', required: true },
    seed: { kind: 'integer', min: 0, default: 1 },
    model: {
      kind: 'object',
      keys: {
        /** A model that the run goes on from: its shape, its weights as f32, its tokenizer (start.ts). Absent: fresh weights. */
        from: { kind: 'text' },
        depth: { ...count, default: 6 },
        width: count,
        heads: count,
        /** Fewer than `heads`: grouped queries; 1: one key and value head for all. Absent: as many as `heads`. */
        kvHeads: count,
        ffnWidth: count,
        contextLength: { ...count, default: 256 },
        tiedEmbeddings: { kind: 'boolean', default: true },
        normEps: { ...positive, default: 1e-5 },
        ropeTheta: { ...positive, default: 10000 },
        // The architecture lab: what the papers compare with, or chose; their choices are the defaults.
        norm: { kind: 'choice', values: labChoices.norm, default: paperChoices.norm },
        normPlacement: { kind: 'choice', values: labChoices.normPlacement, default: paperChoices.normPlacement },
        /** Norms of queries and keys, of each head (as Qwen 3) or of all at once (as OLMo 2), which keep the scores from growing. */
        qkNorm: { kind: 'choice', values: labChoices.qkNorm, default: paperChoices.qkNorm },
        activation: { kind: 'choice', values: labChoices.activation, default: paperChoices.activation },
        positions: { kind: 'choice', values: labChoices.positions, default: paperChoices.positions },
      },
    },
    tokenizer: {
      kind: 'object',
      keys: {
        /** tokenizer.model or tokenizer.json; `cria tokenizer train` makes one. */
        path: { kind: 'text', required: true },
      },
    },
    data: {
      kind: 'object',
      keys: {
        train: {
          kind: 'list',
          required: true,
          item: {
            kind: 'object',
            keys: {
              name: { kind: 'text' },
              path: { kind: 'text', required: true },
              share: { ...positive, default: 1 },
              /** The field or column of the text; absent: "text". What validates has it, too. */
              field: { kind: 'text' },
              /** A number field of the documents; a document is seen in proportion to its `weightPower`-th power. */
              weightField: { kind: 'text' },
              weightPower: { ...positive, default: 1 },
            },
          },
        },
        /**
         * What is never trained on, one text or several by name; absent: a part of the training text, see data/hold-back.ts. The first
         * decides which checkpoint is the best (output.bestBy).
         */
        valid: {
          kind: 'list',
          shorthand: 'path',
          item: {
            kind: 'object',
            keys: {
              /** Absent: "validation", or its number where there are several. */
              name: { kind: 'text' },
              path: { kind: 'text', required: true },
              /** Absent: that of the first training text. */
              field: { kind: 'text' },
            },
          },
        },
      },
    },
    training: {
      kind: 'object',
      keys: {
        /** Tokens to see in all; absent: 20 per parameter. */
        tokens: count,
        batchTokens: count,
        /** The batch grows from rampFromTokens to batchTokens over the first rampTokens tokens, by whole micro-batches; absent: it is the same from the first step on. */
        rampFromTokens: count,
        rampTokens: count,
        /** Tokens that go through the model at once. */
        microBatchTokens: { ...count, default: 4096 },
        learningRate: positive,
        /** Of the embeddings and learned positions, and of the head where it is not the embeddings; absent: learningRate. The schedule is the same. */
        embeddingLearningRate: positive,
        headLearningRate: positive,
        warmupSteps: { kind: 'integer', min: 0 },
        schedule: { kind: 'choice', values: ['cosine', 'stable', 'linear', 'inverse-sqrt'], default: 'cosine' },
        /** Of the steps, how many the 'stable' schedule takes to come down at the end. */
        decayFraction: { kind: 'number', min: 0, max: 1, default: 0.2 },
        finalFraction: { kind: 'number', min: 0, max: 1, default: 0.1 },
        weightDecay: { kind: 'number', min: 0, default: 0.1 },
        /** What moves the matrices of the blocks. The papers: adamw. */
        matrices: { kind: 'choice', values: ['adamw', 'muon'], default: 'adamw' },
        beta1: { kind: 'number', min: 0, max: 1, default: 0.9 },
        beta2: { kind: 'number', min: 0, max: 1, default: 0.95 },
        eps: { ...positive, default: 1e-8 },
        clip: { ...positive, default: 1 },
        /** Weight of the penalty (ln Z)², which keeps the logits from drifting; absent: none, as in LLaMA's papers. PaLM: 1e-4. */
        zLoss: positive,
        /**
         * The part of the numbers that is dropped in training, as in GPT-2: of embeddings, attention's shares, and what the layers add.
         * Absent: none, as in LLaMA's papers. The other two are for one place alone.
         */
        dropout: dropped,
        attentionDropout: dropped,
        embeddingDropout: dropped,
        /** Decay of the exponential moving average of the weights that is kept beside them; absent: none is. */
        ema: { ...positive, max: 0.999999 },
        recompute: { kind: 'choice', values: recomputePolicies, default: 'none' },
        /** Of several ranks, what each holds its part of only (ranks/sharding.ts): less memory, more that travels. */
        sharding: { kind: 'choice', values: shardings, default: 'optimizer' },
        /** Whether gradients travel between ranks while the backward pass goes on; absent: between machines, not between ranks of one. */
        overlap: { kind: 'boolean' },
        /** What matrix products read: f32, or both sides rounded to bf16 and summed in f32, where the processor multiplies bf16 faster. */
        products: { kind: 'choice', values: ['f32', 'bf16'], default: 'f32' },
        /** What comes of a spike or a number that is none: an end, a step left out, or a return to the last good checkpoint with half the rate. */
        onAnomaly: { kind: 'choice', values: ['stop', 'skip', 'return'], default: 'stop' },
        spikeDeviations: positive,
      },
    },
    output: {
      kind: 'object',
      keys: {
        validateEvery: { ...count, default: 250 },
        checkpointEvery: { ...count, default: 250 },
        sampleEvery: { ...count, default: 250 },
        keepLast: { ...count, default: 2 },
        /** A checkpoint at every so many steps that stays, beside the last and the best. */
        keepEvery: count,
        /** Which weights the checkpoints' models have, are validated and write the samples: those of the last step, or their average (training.ema). */
        weights: { kind: 'choice', values: ['trained', 'averaged'], default: 'trained' },
        /** The validation set whose bits per byte decide which checkpoint is the best; absent: the first. */
        bestBy: { kind: 'text' },
        samplePrompt: { kind: 'text', default: 'Once upon a time' },
      },
    },
  },
} as const satisfies Schema;

export type Recipe = Checked<typeof recipeSchema>;

/** Checks a parsed recipe file. Throws ConfigError with every problem. */
export function checkRecipe(value: unknown, file: string): Recipe {
  const problems: string[] = [];
  const recipe = check(recipeSchema, value, '', problems) as Recipe;
  if (problems.length === 0) problems.push(...contradictionsOf(recipe));
  if (problems.length > 0) throw new ConfigError(file, problems, 'recipe.invalid');
  return recipe;
}

/** What does not go together. */
function contradictionsOf({ data, model, training, output }: Recipe): string[] {
  const problems: string[] = [];
  if (output.weights === 'averaged' && training.ema === undefined) {
    problems.push('output.weights is averaged, and no average is kept; give its decay, as in training.ema=0.999');
  }
  if (training.headLearningRate !== undefined && model.tiedEmbeddings) {
    const advice = 'leave it out for training.embeddingLearningRate, or set model.tiedEmbeddings=false';
    problems.push(`training.headLearningRate is given, and the head is the embedding matrix; ${advice}`);
  }
  const { rampFromTokens, rampTokens, batchTokens } = training;
  if ((rampFromTokens === undefined) !== (rampTokens === undefined)) {
    const [given, missing] =
      rampTokens === undefined ? ['rampFromTokens', 'rampTokens'] : ['rampTokens', 'rampFromTokens'];
    problems.push(`training.${given} is given, and training.${missing} is not: a batch that grows needs both`);
  }
  if (rampFromTokens !== undefined && batchTokens !== undefined && rampFromTokens > batchTokens) {
    problems.push(`training.rampFromTokens is ${rampFromTokens}, more than training.batchTokens, ${batchTokens}`);
  }
  const names = validationNames(data);
  for (const [i, name] of names.entries()) {
    if (names.indexOf(name) < i) problems.push(`data.valid[${i}].name is ${name}, and an earlier one is, too`);
  }
  if (output.bestBy !== undefined && !names.includes(output.bestBy)) {
    problems.push(`output.bestBy is ${output.bestBy}, expected the name of a validation set: ${names.join(', ')}`);
  }
  return problems;
}

/** What the sets for validation are called, in order. */
export function validationNames({ valid = [] }: Recipe['data']): string[] {
  if (valid.length <= 1) return [valid[0]?.name ?? 'validation'];
  return valid.map(({ name }, i) => name ?? `validation ${i + 1}`);
}

/** What the training texts are called, in order. */
export function sourceNames({ train }: Recipe['data']): string[] {
  return train.map(({ name }, i) => name ?? `source ${i + 1}`);
}

/** What follows from a recipe and the size of its vocabulary. */
export interface DerivedRecipe {
  readonly config: LlamaConfig;
  readonly parameters: number;
  readonly learningRate: number;
  /** Factors on it, by the parameters' names. */
  readonly rateScales: Readonly<Record<string, number>>;
  readonly warmupSteps: number;
  readonly batchTokens: number;
  readonly microBatches: number;
  readonly rows: number;
  /** null: nothing is dropped. */
  readonly dropout: DropoutOptions | null;
  /** How the batch comes to that size. */
  readonly ramp: BatchRamp;
  readonly totalSteps: number;
  /** What they see. */
  readonly totalTokens: number;
  readonly recompute: Recompute;
  /** How each derived value came about, for people. */
  readonly notes: readonly string[];
}

/**
 * From the dial to a run:
 *
 *   head size   48 up to depth 6, 64 up to 24, 128 above         width   head size · depth (LLaMA 7B: 128 · 32)
 *   feed-forward width   8/3 · width, up to a multiple of 32 (relu, gelu, with two matrices in place of three: 4 · width)
 *       learning rate   3e-4 · √(4096 / width) (LLaMA 7B: 3e-4)
 *   batch   4M tokens · (width / 4096)², a power of two           tokens   20 a parameter (Hoffmann et al. 2022)
 *   warm-up   2,000 steps, at most 2 % of all                     (arXiv:2302.13971 §2.3)
 *
 * `start`: the model that the run goes on from, whose shape it then has.
 */
export function deriveRecipe(recipe: Recipe, vocabSize: number, start: LlamaConfig | null = null): DerivedRecipe {
  const { model, training } = recipe;
  const notes: string[] = [];
  const derive: Derive = (name, given, value, how) => {
    if (given === undefined) notes.push(`${name} ${value} (${how})`);
    return given ?? value;
  };
  const config =
    start === null ? freshConfig(model, vocabSize, derive) : { ...start, contextLength: model.contextLength };
  const { width } = config;
  const problems = configProblems(config);
  if (problems.length > 0) throw new ConfigError(`recipe ${recipe.name}: model`, problems, 'recipe.model');

  const parameters = parameterCount(config);
  const ideal = 2 ** Math.round(Math.log2(4e6 * (width / 4096) ** 2));
  const learning = 3e-4 * Math.sqrt(4096 / width);
  const learningRate = derive(
    'learningRate',
    training.learningRate,
    Number(learning.toPrecision(3)),
    '3e-4 · √(4096 / width)',
  );
  const wanted = derive('batchTokens', training.batchTokens, Math.max(4096, ideal), '4M · (width / 4096)²');
  const rows = Math.max(1, Math.floor(Math.min(training.microBatchTokens, wanted) / model.contextLength));
  const microBatches = Math.max(1, Math.round(wanted / (rows * model.contextLength)));
  const batchTokens = microBatches * rows * model.contextLength;
  if (batchTokens !== wanted)
    notes.push(`batchTokens ${batchTokens} (${microBatches} × ${rows} rows of ${model.contextLength})`);
  const tokens = derive('tokens', training.tokens, 20 * parameters, '20 a parameter');
  const { rampFromTokens = batchTokens, rampTokens = 0 } = training;
  const first = Math.min(microBatches, Math.max(1, Math.round(rampFromTokens / (rows * model.contextLength))));
  const ramp = { first, full: microBatches, rampTokens };
  if (rampTokens > 0) {
    const from = first * rows * model.contextLength;
    notes.push(`the batch grows from ${from} to ${batchTokens} tokens over the first ${rampTokens}`);
  }
  const { steps: totalSteps, tokens: totalTokens } = stepsOf(tokens, rows * model.contextLength, ramp);
  const warm = Math.min(2000, Math.ceil(totalSteps * 0.02));
  const warmupSteps = derive('warmupSteps', training.warmupSteps, warm, '2,000, at most 2 % of the steps');
  const { recompute } = training;
  return {
    config,
    parameters,
    learningRate,
    rateScales: rateScalesOf(training, learningRate),
    warmupSteps,
    batchTokens,
    microBatches,
    rows,
    dropout: dropoutOf(recipe),
    ramp,
    totalSteps,
    totalTokens,
    recompute,
    notes,
  };
}

export type Derive = (name: string, given: number | undefined, value: number, how: string) => number;

/** `derive` hears of every size that the shape leaves open. */
export function freshConfig(model: Recipe['model'], vocabSize: number, derive: Derive): LlamaConfig {
  const headSizeByDepth = model.depth <= 6 ? 48 : model.depth <= 24 ? 64 : 128;
  const width = derive('width', model.width, headSizeByDepth * model.depth, `${headSizeByDepth} · depth`);
  const heads = derive(
    'heads',
    model.heads,
    Math.max(1, Math.round(width / headSizeByDepth)),
    `width / ${headSizeByDepth}`,
  );
  const { norm, normPlacement, qkNorm, activation, positions } = model;
  return {
    ...paperChoices,
    norm,
    normPlacement,
    qkNorm,
    activation,
    positions,
    width,
    blockCount: model.depth,
    headCount: heads,
    kvHeadCount: model.kvHeads ?? heads,
    headSize: width / heads,
    ffnWidth: isGated(model.activation)
      ? derive('ffnWidth', model.ffnWidth, metaFfnWidth(width, 32, null), '8/3 · width, to a multiple of 32')
      : derive('ffnWidth', model.ffnWidth, 4 * width, '4 · width'),
    vocabSize,
    contextLength: model.contextLength,
    normEps: model.normEps,
    ropeTheta: model.ropeTheta,
    ropeScaling: { kind: 'none' },
    tiedEmbeddings: model.tiedEmbeddings,
    attentionBias: false,
    slidingWindow: null,
  };
}

function dropoutOf({ seed, training }: Recipe): DropoutOptions | null {
  const { dropout = 0, attentionDropout = dropout, embeddingDropout = dropout } = training;
  const rates = { embedding: embeddingDropout, attention: attentionDropout, residual: dropout };
  return Object.values(rates).every((rate) => rate === 0) ? null : { rates, seed };
}

function rateScalesOf(
  { embeddingLearningRate, headLearningRate }: Recipe['training'],
  learningRate: number,
): Record<string, number> {
  const [embedding, head] = [embeddingLearningRate, headLearningRate].map((rate) => rate && rate / learningRate);
  return {
    ...(embedding && { embed_VD: embedding, positions_CD: embedding }),
    ...(head && { head_VD: head }),
  };
}
