import { allButEvery, window } from '../../spelling/blocks.ts';
import { experts } from '../../spelling/experts.ts';
import { derived } from '../../spelling/fact.ts';
import type { Relative } from '../../spelling/relative.ts';

/**
 * gpt-oss: experts with biases and a bounded SwiGLU, attention sinks, a window in every other block. Source: OpenAI 2025,
 * arXiv:2508.10925 §2. Hugging Face's files hold its experts in blocks of another order; the GGUF files are read.
 */
export const gptoss: Relative = {
  name: 'gpt-oss',
  choices: { attentionSinks: true, swigluLimit: 7 },
  facts: [
    window({ slides: allButEvery(2) }),
    experts({ count: 'num_local_experts', width: 'intermediate_size', normalized: true }),
    derived(['attentionSinks', 'swigluLimit'], () => ({ attentionSinks: true, swigluLimit: 7 })),
  ],
  hf: null,
  gguf: {
    architecture: 'gpt-oss',
    rotary: 'halves',
    names: { tensors: { ffnNorm_D: 'post_attention_norm.weight' } },
  },
};
