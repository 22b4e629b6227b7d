import { type Growth, KV_BLOCK_TOKENS, type RouteWeights } from '../kernels/ops.ts';

/**
 * The primary facts of a LLaMA or of one of its relatives. Everything else is derived (dimensions).
 *
 * Every choice that a relative or the architecture lab makes otherwise than the papers is a field here; the papers' own values are in
 * `paperChoices`. model/choices/ turns each into a function or a fact when a model is built.
 */
export interface LlamaConfig {
  /** The name of the relative in model/relatives: it says how files spell the model, not what is computed. */
  readonly family: string;
  readonly width: number;
  readonly blockCount: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  /** Size of one head; width / headCount unless the checkpoint says otherwise. */
  readonly headSize: number;
  readonly ffnWidth: number;
  readonly vocabSize: number;
  /** Longest sequence the model was made for. */
  readonly contextLength: number;
  readonly normEps: number;
  readonly ropeTheta: number;
  readonly ropeScaling: RopeScaling;
  /** The output layer is the embedding table. */
  readonly tiedEmbeddings: boolean;
  /** Biases on the query, key and value projections (Qwen 2). */
  readonly attentionBias: boolean;
  /** A bias on the projection behind attention (Llama with attention_bias). */
  readonly attentionOutputBias: boolean;
  /** Biases on the projections of the feed-forward layer (Llama with mlp_bias). */
  readonly feedForwardBias: boolean;
  /** Key j is visible to query i iff i − window < j ≤ i (Mistral); null: all j ≤ i. */
  readonly slidingWindow: number | null;
  /** `sliding`, or `chunks` of slidingWindow positions: a query sees the keys of its own chunk only (Llama 4). */
  readonly windowKind: 'sliding' | 'chunks';
  /** Which blocks have the window; null: all of them, where there is one. */
  readonly slidingBlocks: readonly boolean[] | null;
  /** The theta of blocks with a sliding window, which are then not stretched (Gemma 3); null: that of all others. */
  readonly slidingTheta: number | null;
  /** Which blocks rotate queries and keys (SmolLM3 leaves it out in every fourth); null: all of them. */
  readonly rotatedBlocks: readonly boolean[] | null;
  /** How many of a head's channels are rotated, from the first (Phi-4-mini); null: all. */
  readonly rotatedSize: number | null;

  readonly norm: 'rms' | 'layer' | 'batch';
  /**
   * Where the norms of a block stand: `before` attention and the feed-forward layer; `after` each residual sum (the lab); on each
   * branch's `output`, before it is added (OLMo 2); or on `both` ends of a branch (Gemma 2).
   */
  readonly normPlacement: 'before' | 'after' | 'output' | 'both';
  /**
   * RMSNorm of queries and keys before they are rotated: of every head (Qwen 3), of the whole row (OLMo 2), or none; `unit`: of every
   * head that is rotated, without gains (Llama 4).
   */
  readonly qkNorm: 'none' | 'head' | 'row' | 'unit';
  /** Lengthens queries by their position: of `blocks` without rotations (Llama 4), or of all (Ministral 3); null: by nothing. */
  readonly queryGrowth: (Growth & { readonly blocks: 'unrotated' | 'all' }) | null;
  readonly activation: 'swiglu' | 'geglu' | 'geglu-tanh' | 'relu' | 'gelu';
  readonly positions: 'rope' | 'learned' | 'sinusoidal' | 'none';
  /** Multiplies the embedding (Granite, Gemma). */
  readonly embeddingScale: number;
  /** Multiplies what each branch adds to the residual stream (Granite). */
  readonly residualScale: number;
  /** Multiplies q·k; null: 1 / √headSize. */
  readonly attentionScale: number | null;
  /** The logits are divided by it (Granite). */
  readonly logitDivisor: number;
  /** Scores are bent to cap · tanh(score / cap) (Gemma 2); null: as they are. */
  readonly attentionCap: number | null;
  /** The same for logits. */
  readonly logitCap: number | null;
  /** A score a head without a key, in the softmax of attention (gpt-oss). */
  readonly attentionSinks: boolean;
  /** The bound of SwiGLU's inputs, in gpt-oss's form of it; null: the papers' form. */
  readonly swigluLimit: number | null;
  /** Routed experts in place of the feed-forward layer (Mixtral); null: one layer for all tokens. */
  readonly experts: Experts | null;
}

export interface Experts {
  readonly count: number;
  /** Experts that a token goes through. */
  readonly used: number;
  /** Feed-forward width of one expert. */
  readonly width: number;
  /** How the weights of the chosen experts come from the router's scores. */
  readonly weights: RouteWeights;
  /** What is multiplied by them: an expert's results, or its inputs (Llama 4). */
  readonly weighs: 'results' | 'inputs';
  /** Feed-forward width of an expert that every token goes through besides; null: there is none. */
  readonly shared: number | null;
  /** Which blocks have experts, the others having one feed-forward layer; null: all. */
  readonly blocks: readonly boolean[] | null;
  /** Biases on the router and on the experts' projections. */
  readonly bias: boolean;
}

/** What the LLaMA papers chose where relatives or the lab have alternatives. */
export const paperChoices = {
  family: 'llama',
  attentionOutputBias: false,
  feedForwardBias: false,
  windowKind: 'sliding',
  slidingBlocks: null,
  slidingTheta: null,
  rotatedBlocks: null,
  rotatedSize: null,
  norm: 'rms',
  normPlacement: 'before',
  qkNorm: 'none',
  queryGrowth: null,
  activation: 'swiglu',
  positions: 'rope',
  embeddingScale: 1,
  residualScale: 1,
  attentionScale: null,
  logitDivisor: 1,
  attentionCap: null,
  attentionSinks: false,
  swigluLimit: null,
  logitCap: null,
  experts: null,
} as const satisfies Partial<LlamaConfig>;

/** Of these, what a recipe of the architecture lab may choose. */
export const labChoices = {
  norm: ['rms', 'layer', 'batch'],
  normPlacement: ['before', 'after'],
  qkNorm: ['none', 'head', 'row'],
  activation: ['swiglu', 'geglu', 'relu', 'gelu'],
  positions: ['rope', 'learned', 'sinusoidal', 'none'],
} as const satisfies { readonly [key in keyof LlamaConfig]?: readonly LlamaConfig[key][] };

/** Whether the feed-forward layer multiplies two projections, and so has three matrices. */
export function isGated(activation: LlamaConfig['activation']): boolean {
  return activation === 'swiglu' || activation === 'geglu' || activation === 'geglu-tanh';
}

export type RopeScaling =
  | { readonly kind: 'none' }
  /** All frequencies divided by factor (Chen et al. 2023, arXiv:2306.15595). */
  | { readonly kind: 'linear'; readonly factor: number }
  /** Above the original context, theta grows with the length of the run (transformers' dynamic NTK scaling). */
  | { readonly kind: 'dynamic'; readonly factor: number; readonly originalContextLength: number }
  /** LongRoPE: one list of divisors for runs up to the original context, another beyond (Ding et al. 2024, arXiv:2402.13753). */
  | {
      readonly kind: 'longrope';
      readonly shortFactors: readonly number[];
      readonly longFactors: readonly number[];
      readonly originalContextLength: number;
      /** Scales cos and sin. */
      readonly attentionFactor: number;
    }
  /** Llama 3.1: low frequencies divided, high kept, a smooth ramp between. */
  | {
      readonly kind: 'llama3';
      readonly factor: number;
      readonly lowFreqFactor: number;
      readonly highFreqFactor: number;
      readonly originalContextLength: number;
    }
  /** A divisor per pair, as GGUF's rope_freqs.weight stores them. */
  | { readonly kind: 'factors'; readonly factors: readonly number[] }
  /** YaRN (Peng et al. 2023, arXiv:2309.00071): ramp by rotations, and the attention temperature. */
  | {
      readonly kind: 'yarn';
      readonly factor: number;
      readonly originalContextLength: number;
      readonly betaFast: number;
      readonly betaSlow: number;
      /** The ramp starts and ends at whole pairs; gpt-oss does not round it. */
      readonly wholePairs: boolean;
      /** Scales cos and sin; null: 0.1·ln(factor) + 1. */
      readonly attentionFactor: number | null;
    };

/** The letters of every shape in this project. */
export interface Dimensions {
  /** width */ readonly D: number;
  /** query heads */ readonly H: number;
  /** key and value heads */ readonly K: number;
  /** head size */ readonly E: number;
  /** H·E */ readonly Q: number;
  /** K·E */ readonly P: number;
  /** feed-forward width */ readonly F: number;
  /** experts */ readonly X: number;
  /** width of one */ readonly G: number;
  /** width of the expert that all tokens go through */ readonly J: number;
  /** X·G and X·D: vectors of all experts */ readonly XG: number;
  readonly XD: number;
  /** vocabulary */ readonly V: number;
  /** positions a learned table holds */ readonly C: number;
}
export type Dimension = keyof Dimensions;

export function dimensions(config: LlamaConfig): Dimensions {
  const { width: D, headCount: H, kvHeadCount: K, headSize: E, ffnWidth: F, vocabSize: V, contextLength: C } = config;
  const { count: X, width: G, shared } = config.experts ?? { count: 0, width: 0, shared: null };
  return { D, H, K, E, Q: H * E, P: K * E, F, X, G, J: shared ?? 0, XG: X * G, XD: X * D, V, C };
}

/** No model has more; lists with an entry per block are made no longer before the configuration is checked. */
export const MOST_BLOCKS = 1 << 12;

/**
 * Problems of a configuration, in words; empty when it is sound. Sizes are bounded so that a hostile file cannot ask for
 * a giant allocation before its tensors have been looked at.
 */
export function configProblems(config: LlamaConfig): string[] {
  const problems: string[] = [];
  const count = (key: keyof LlamaConfig, limit: number) => {
    const value = config[key];
    if (!(typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= limit)) {
      problems.push(`${key} is ${String(value)}, expected a whole number in 1…${limit}`);
    }
  };
  count('width', 1 << 20);
  count('blockCount', MOST_BLOCKS);
  count('headCount', 1 << 14);
  count('kvHeadCount', 1 << 14);
  count('headSize', 1 << 14);
  count('ffnWidth', 1 << 22);
  count('vocabSize', 1 << 24);
  count('contextLength', 1 << 28);
  if (config.slidingWindow !== null) count('slidingWindow', 1 << 28);
  if (!(config.normEps >= 0 && config.normEps < 1)) problems.push(`normEps is ${config.normEps}, expected 0 ≤ eps < 1`);
  if (!(config.ropeTheta > 0 && Number.isFinite(config.ropeTheta))) {
    problems.push(`ropeTheta is ${config.ropeTheta}, expected a positive number`);
  }
  if (config.headCount % config.kvHeadCount !== 0) {
    problems.push(`headCount ${config.headCount} is not a multiple of kvHeadCount ${config.kvHeadCount}`);
  }
  if (config.positions === 'rope' && config.headSize % 2 !== 0) {
    problems.push(`headSize ${config.headSize} is odd; rotary positions rotate pairs`);
    return problems;
  }
  if (config.experts !== null) {
    const { count: all, used, width, shared } = config.experts;
    for (const [name, value, limit] of [
      ['count', all, 1 << 12],
      ['used', used, all],
      ['width', width, 1 << 22],
      ['shared', shared ?? 1, 1 << 22],
    ] as const) {
      if (!(Number.isInteger(value) && value >= 1 && value <= limit)) {
        problems.push(`experts.${name} is ${value}, expected a whole number in 1…${limit}`);
      }
    }
  }
  const { ropeScaling } = config;
  const rotated = config.rotatedSize ?? config.headSize;
  if (config.rotatedSize !== null && !(rotated >= 2 && rotated <= config.headSize && rotated % 2 === 0)) {
    problems.push(`rotatedSize is ${rotated}, expected an even number up to headSize ${config.headSize}`);
  }
  const { slidingBlocks, rotatedBlocks, slidingWindow, windowKind, queryGrowth } = config;
  for (const [key, blocks] of Object.entries({
    slidingBlocks,
    rotatedBlocks,
    'experts.blocks': config.experts?.blocks,
  })) {
    const length = blocks?.length ?? config.blockCount;
    if (length !== config.blockCount) problems.push(`${key} lists ${length} blocks, expected ${config.blockCount}`);
  }
  if (windowKind === 'chunks' && slidingWindow !== null && slidingWindow % KV_BLOCK_TOKENS !== 0) {
    problems.push(
      `slidingWindow is ${slidingWindow}, expected a multiple of ${KV_BLOCK_TOKENS} where it is cut in chunks`,
    );
  }
  if (queryGrowth !== null && !(queryGrowth.interval > 0 && Number.isFinite(queryGrowth.slope))) {
    problems.push(
      `queryGrowth has interval ${queryGrowth.interval} and slope ${queryGrowth.slope}, expected numbers above 0`,
    );
  }
  for (const key of ['embeddingScale', 'residualScale', 'logitDivisor'] as const) {
    if (!Number.isFinite(config[key]) || config[key] === 0) {
      problems.push(`${key} is ${config[key]}, expected a number that is not 0`);
    }
  }
  for (const key of ['attentionScale', 'attentionCap', 'logitCap', 'slidingTheta'] as const) {
    const value = config[key];
    if (value !== null && !(value > 0 && Number.isFinite(value))) {
      problems.push(`${key} is ${value}, expected a positive number`);
    }
  }
  if (ropeScaling.kind === 'factors' || ropeScaling.kind === 'longrope') {
    const lists =
      ropeScaling.kind === 'factors' ? [ropeScaling.factors] : [ropeScaling.shortFactors, ropeScaling.longFactors];
    for (const factors of lists) {
      if (factors.length !== rotated / 2) {
        problems.push(
          `ropeScaling has ${factors.length} factors, expected ${rotated / 2}, half of the rotated part of a head`,
        );
      }
      if (!factors.every((factor) => factor > 0 && Number.isFinite(factor))) {
        problems.push('ropeScaling has a factor that is no positive number');
      }
    }
  } else if (ropeScaling.kind !== 'none' && !(ropeScaling.factor > 0 && Number.isFinite(ropeScaling.factor))) {
    problems.push(`ropeScaling.factor is ${ropeScaling.factor}, expected a positive number`);
  }
  return problems;
}

/**
 * Meta's feed-forward width: 2/3 of 4·D, times an optional multiplier, rounded up to a multiple.
 * Source: meta-llama/llama model.py, FeedForward.
 */
export function metaFfnWidth(width: number, multipleOf: number, multiplier: number | null): number {
  let hidden = Math.trunc((2 * 4 * width) / 3);
  if (multiplier !== null) hidden = Math.trunc(multiplier * hidden);
  return multipleOf * Math.ceil(hidden / multipleOf);
}
