import { window } from '../spelling/blocks.ts';
import { biases } from '../spelling/common.ts';
import type { Relative } from '../spelling/relative.ts';

/** Qwen 1.5, 2 and 2.5: biases on queries, keys and values. */
export const qwen2: Relative = {
  name: 'qwen2',
  choices: { attentionBias: true },
  facts: [biases('qkv'), window({ switched: true })],
  hf: {
    modelType: 'qwen2',
    architecture: 'Qwen2ForCausalLM',
    defaults: {
      num_key_value_heads: 32,
      max_position_embeddings: 32_768,
      rms_norm_eps: 1e-6,
      sliding_window: 4096,
    },
  },
  gguf: { architecture: 'qwen2', rotary: 'halves' },
};
