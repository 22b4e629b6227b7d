import { window } from '../spelling/blocks.ts';
import { biases } from '../spelling/common.ts';
import type { Relative } from '../spelling/relative.ts';

/** Qwen 3: every head's queries and keys are normalised before they are rotated. Source: Yang et al. 2025, arXiv:2505.09388 §2. */
export const qwen3: Relative = {
  name: 'qwen3',
  choices: { qkNorm: 'head' },
  facts: [biases('llama'), window({ switched: true })],
  hf: {
    modelType: 'qwen3',
    architecture: 'Qwen3ForCausalLM',
    defaults: {
      num_key_value_heads: 32,
      head_dim: 128,
      max_position_embeddings: 32_768,
      rms_norm_eps: 1e-6,
      sliding_window: 4096,
    },
  },
  gguf: { architecture: 'qwen3', rotary: 'halves' },
};
