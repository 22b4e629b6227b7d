/**
 * The primary facts of a LLaMA. Everything else is derived (dimensions).
 *
 * The last group are the architecture lab's alternatives to the papers' choices; the papers' own values are in `paperChoices`.
 */
export interface LlamaConfig {
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
  /** Key j is visible to query i iff i − window < j ≤ i (Mistral); null: all j ≤ i. */
  readonly slidingWindow: number | null;

  readonly norm: 'rms' | 'layer' | 'batch';
  readonly normPlacement: 'before' | 'after';
  readonly activation: 'swiglu' | 'geglu' | 'relu' | 'gelu';
  readonly positions: 'rope' | 'learned' | 'sinusoidal' | 'none';
}

/** What the LLaMA papers chose where the lab has alternatives. */
export const paperChoices = {
  norm: 'rms',
  normPlacement: 'before',
  activation: 'swiglu',
  positions: 'rope',
} as const satisfies Partial<LlamaConfig>;

/** Whether the feed-forward layer multiplies two projections, and so has three matrices. */
export function isGated(activation: LlamaConfig['activation']): boolean {
  return activation === 'swiglu' || activation === 'geglu';
}

export type RopeScaling =
  | { readonly kind: 'none' }
  /** All frequencies divided by factor (Chen et al. 2023, arXiv:2306.15595). */
  | { readonly kind: 'linear'; readonly factor: number }
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
  /** vocabulary */ readonly V: number;
  /** positions a learned table holds */ readonly C: number;
}
export type Dimension = keyof Dimensions;

export function dimensions(config: LlamaConfig): Dimensions {
  const { width: D, headCount: H, kvHeadCount: K, headSize: E, ffnWidth: F, vocabSize: V, contextLength: C } = config;
  return { D, H, K, E, Q: H * E, P: K * E, F, V, C };
}

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
  count('blockCount', 1 << 12);
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
  }
  const { ropeScaling } = config;
  if (ropeScaling.kind === 'factors') {
    if (ropeScaling.factors.length !== config.headSize / 2) {
      problems.push(
        `ropeScaling has ${ropeScaling.factors.length} factors, expected headSize / 2 = ${config.headSize / 2}`,
      );
    }
    if (!ropeScaling.factors.every((factor) => factor > 0 && Number.isFinite(factor))) {
      problems.push('ropeScaling has a factor that is no positive number');
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
