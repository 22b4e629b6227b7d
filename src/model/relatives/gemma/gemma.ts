import { activation, biases } from '../../spelling/common.ts';
import { derived } from '../../spelling/fact.ts';
import type { Fact, Relative } from '../../spelling/relative.ts';

/** transformers has called the activation by two keys; by either, it is the tanh form of GELU. */
const geglu = activation('geglu-tanh', { key: 'hidden_activation', names: ['gelu_pytorch_tanh', 'gelu'] });
const otherName = activation('geglu-tanh', { names: ['gelu_pytorch_tanh', 'gelu'] });

/** What all Gemmas have in common: GEGLU, and an embedding that is scaled by the root of its width. */
export const gemmaFacts: readonly Fact[] = [
  { ...geglu, readHf: (keys, known) => ({ ...otherName.readHf(keys, known), ...geglu.readHf(keys, known) }) },
  derived(['embeddingScale'], ({ width }) => ({ embeddingScale: Math.sqrt(width) })),
  biases('llama'),
];
export const gemmaDefaults = {
  head_dim: 256,
  max_position_embeddings: 8192,
  rms_norm_eps: 1e-6,
  tie_word_embeddings: true,
} as const;

/** Gemma 1. Source: Gemma team 2024, arXiv:2403.08295 §2. */
export const gemma: Relative = {
  name: 'gemma',
  choices: { activation: 'geglu-tanh' },
  facts: gemmaFacts,
  hf: {
    modelType: 'gemma',
    architecture: 'GemmaForCausalLM',
    defaults: gemmaDefaults,
    gainsFromOne: true,
  },
  gguf: { architecture: 'gemma', rotary: 'halves' },
};
