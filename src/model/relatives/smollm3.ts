import { allButEvery, rotatedBlocks, window } from '../spelling/blocks.ts';
import { biases } from '../spelling/common.ts';
import type { Relative } from '../spelling/relative.ts';

/** SmolLM 3: every fourth block has no positions. Source: Yang et al. 2025, arXiv:2501.18795 (NoPE in some layers); the model's card. */
export const smollm3: Relative = {
  name: 'smollm3',
  facts: [
    biases('llama'),
    window({ switched: true }),
    rotatedBlocks({ rotates: allButEvery(4), listKey: 'no_rope_layers', periodKey: 'no_rope_layer_interval' }),
  ],
  hf: {
    modelType: 'smollm3',
    architecture: 'SmolLM3ForCausalLM',
    defaults: {
      num_key_value_heads: 4,
      max_position_embeddings: 32_768,
      rms_norm_eps: 1e-6,
      rope_theta: 2_000_000,
      tie_word_embeddings: true,
    },
  },
  gguf: { architecture: 'smollm3', rotary: 'pairs' },
};
