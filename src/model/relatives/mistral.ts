import { window } from '../spelling/blocks.ts';
import { growingRope } from '../spelling/growth.ts';
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

/** Ministral 3: Mistral with a long context by YaRN, and queries that grow with their position. */
export const ministral3: Relative = {
  name: 'ministral3',
  facts: [window(), growingRope()],
  hf: {
    ...mistral.hf!,
    modelType: 'ministral3',
    architecture: 'Ministral3ForCausalLM',
    defaults: { ...mistral.hf!.defaults, max_position_embeddings: 262_144, rms_norm_eps: 1e-5, sliding_window: null },
  },
  gguf: { architecture: 'mistral3', rotary: 'pairs' },
};

/** Mistral Small 3.1 and 3.2, and Ministral 3, which also see: their text part. */
export const mistral3: readonly Relative[] = [mistral, ministral3].map((text) => ({
  ...text,
  hf: {
    ...text.hf!,
    modelType: 'mistral3',
    architecture: 'Mistral3ForConditionalGeneration',
    textConfig: 'text_config',
    textType: text.hf!.modelType,
    defaults: { ...text.hf!.defaults, sliding_window: null },
  },
  gguf: null,
}));
