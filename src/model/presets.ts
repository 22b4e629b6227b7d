/** Named models. A test recomputes each one's published parameter count from these numbers. */
import { type LlamaConfig, paperChoices, type RopeScaling } from './config.ts';

const common = {
  ropeTheta: 10_000,
  ropeScaling: { kind: 'none' },
  tiedEmbeddings: false,
  attentionBias: false,
  slidingWindow: null,
  ...paperChoices,
} as const;

type Shape = readonly [width: number, blocks: number, heads: number, kvHeads: number, ffnWidth: number];
const shape = ([width, blockCount, headCount, kvHeadCount, ffnWidth]: Shape) => ({
  width,
  blockCount,
  headCount,
  kvHeadCount,
  headSize: width / headCount,
  ffnWidth,
});

/** Touvron et al. 2023, arXiv:2302.13971, table 2. */
const llama1 = (sizes: Shape): LlamaConfig => ({
  ...common,
  ...shape(sizes),
  vocabSize: 32_000,
  contextLength: 2048,
  normEps: 1e-6,
});
/** Touvron et al. 2023, arXiv:2307.09288, table 1. */
const llama2 = (sizes: Shape): LlamaConfig => ({
  ...common,
  ...shape(sizes),
  vocabSize: 32_000,
  contextLength: 4096,
  normEps: 1e-5,
});
/** Grattafiori et al. 2024, arXiv:2407.21783, table 3. */
const llama3 = (sizes: Shape): LlamaConfig => ({
  ...common,
  ...shape(sizes),
  vocabSize: 128_256,
  contextLength: 8192,
  normEps: 1e-5,
  ropeTheta: 500_000,
});
const stretched = (factor: number) => ({
  contextLength: 131_072,
  ropeScaling: {
    kind: 'llama3',
    factor,
    lowFreqFactor: 1,
    highFreqFactor: 4,
    originalContextLength: 8192,
  } as RopeScaling,
});
/** karpathy/llama2.c README, table of models; their output layer is the embedding table. */
const stories = (sizes: Shape, vocabSize: number, contextLength: number): LlamaConfig => ({
  ...common,
  ...shape(sizes),
  vocabSize,
  contextLength,
  normEps: 1e-5,
  tiedEmbeddings: true,
});

export const presets = {
  'llama-7b': llama1([4096, 32, 32, 32, 11_008]),
  'llama-13b': llama1([5120, 40, 40, 40, 13_824]),
  'llama-33b': llama1([6656, 60, 52, 52, 17_920]),
  'llama-65b': llama1([8192, 80, 64, 64, 22_016]),
  'llama-2-7b': llama2([4096, 32, 32, 32, 11_008]),
  'llama-2-13b': llama2([5120, 40, 40, 40, 13_824]),
  /** Never released; the shape is that of Code Llama 34B. */
  'llama-2-34b': llama2([8192, 48, 64, 8, 22_016]),
  'llama-2-70b': llama2([8192, 80, 64, 8, 28_672]),
  'llama-3-8b': llama3([4096, 32, 32, 8, 14_336]),
  'llama-3-70b': llama3([8192, 80, 64, 8, 28_672]),
  'llama-3.1-8b': { ...llama3([4096, 32, 32, 8, 14_336]), ...stretched(8) },
  'llama-3.1-70b': { ...llama3([8192, 80, 64, 8, 28_672]), ...stretched(8) },
  'llama-3.2-1b': { ...llama3([2048, 16, 32, 8, 8192]), ...stretched(32), tiedEmbeddings: true },
  'llama-3.2-3b': { ...llama3([3072, 28, 24, 8, 8192]), ...stretched(32), tiedEmbeddings: true },
  /** Zhang et al. 2024, arXiv:2401.02385. */
  'tinyllama-1.1b': { ...llama2([2048, 22, 32, 4, 5632]), contextLength: 2048 },
  'stories-260k': stories([64, 5, 8, 4, 172], 512, 512),
  'stories-15m': stories([288, 6, 6, 6, 768], 32_000, 256),
  'stories-42m': stories([512, 8, 8, 8, 1376], 32_000, 1024),
  'stories-110m': stories([768, 12, 12, 12, 2048], 32_000, 1024),
} as const satisfies Record<string, LlamaConfig>;

export type PresetName = keyof typeof presets;
export const presetNames = Object.keys(presets) as readonly PresetName[];

export function isPresetName(name: string): name is PresetName {
  return Object.hasOwn(presets, name);
}
