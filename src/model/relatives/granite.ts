import { biases } from '../spelling/common.ts';
import { number, numberOrNone } from '../spelling/fact.ts';
import type { Relative } from '../spelling/relative.ts';

/** Granite 3 and 4 (without experts and Mamba): four scalings. Source: IBM Granite team 2024, Granite 3.0 Language Models, §3 (μP). */
export const granite: Relative = {
  name: 'granite',
  facts: [
    biases('llama'),
    number('embeddingScale', { hf: 'embedding_multiplier', gguf: 'embedding_scale' }, 1),
    number('residualScale', { hf: 'residual_multiplier', gguf: 'residual_scale' }, 1),
    numberOrNone('attentionScale', { hf: 'attention_multiplier', gguf: 'attention.scale' }),
    number('logitDivisor', { hf: 'logits_scaling', gguf: 'logit_scale' }, 1),
  ],
  hf: {
    modelType: 'granite',
    architecture: 'GraniteForCausalLM',
    defaults: { max_position_embeddings: 2048, rms_norm_eps: 1e-6, attention_multiplier: 1 },
  },
  gguf: { architecture: 'granite', rotary: 'pairs' },
};
