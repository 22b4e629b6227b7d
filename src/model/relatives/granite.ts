import { biases } from '../spelling/common.ts';
import { number, numberOrNone } from '../spelling/fact.ts';
import type { Fact, Relative } from '../spelling/relative.ts';

const inGguf = numberOrNone('attentionScale', { hf: null, gguf: 'attention.scale' });

/** transformers scales scores by what the file says alone: where they are scaled as usual, that is said too. */
const attentionScale: Fact = {
  ...inGguf,
  readHf: (keys, { headSize }) => {
    const scale = keys.number('attention_multiplier', 1);
    return { attentionScale: scale === headSize ** -0.5 ? null : scale };
  },
  writeHf: ({ attentionScale: scale, headSize }) => ({ attention_multiplier: scale ?? headSize ** -0.5 }),
};

/** Granite 3 and 4 (without experts and Mamba): four scalings. Source: IBM Granite team 2024, Granite 3.0 Language Models, §3 (μP). */
export const granite: Relative = {
  name: 'granite',
  facts: [
    biases('llama'),
    number('embeddingScale', { hf: 'embedding_multiplier', gguf: 'embedding_scale' }, 1),
    number('residualScale', { hf: 'residual_multiplier', gguf: 'residual_scale' }, 1),
    attentionScale,
    number('logitDivisor', { hf: 'logits_scaling', gguf: 'logit_scale' }, 1),
  ],
  hf: {
    modelType: 'granite',
    architecture: 'GraniteForCausalLM',
    defaults: { max_position_embeddings: 2048, rms_norm_eps: 1e-6, attention_multiplier: 1 },
  },
  gguf: { architecture: 'granite', rotary: 'pairs' },
};
