import { window } from '../spelling/blocks.ts';
import type { Relative } from '../spelling/relative.ts';

/** Mistral 7B, Nemo, Small and Ministral: a head size of its own, and in the first a sliding window. GGUF calls it llama. */
export const mistral: Relative = {
  name: 'mistral',
  facts: [window()],
  hf: {
    modelType: 'mistral',
    architecture: 'MistralForCausalLM',
    defaults: {
      num_key_value_heads: 8,
      max_position_embeddings: 131_072,
      rms_norm_eps: 1e-6,
      sliding_window: 4096,
    },
  },
  gguf: { architecture: 'llama', aliases: ['mistral'], rotary: 'pairs' },
};

/** Mistral Small 3.1 and 3.2, which also see: their text part. */
export const mistral3: Relative = {
  ...mistral,
  hf: {
    ...mistral.hf!,
    modelType: 'mistral3',
    architecture: 'Mistral3ForConditionalGeneration',
    textConfig: 'text_config',
    defaults: { ...mistral.hf!.defaults, sliding_window: null },
  },
  gguf: null,
};
