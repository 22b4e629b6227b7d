import { biases, normsOfTensors } from '../spelling/common.ts';
import type { Relative } from '../spelling/relative.ts';

/** OLMo 2: norms on the branches' outputs, and of whole rows of queries and keys. Source: OLMo team 2025, arXiv:2501.00656 §3.2. */
export const olmo2: Relative = {
  name: 'olmo2',
  choices: { normPlacement: 'output', qkNorm: 'row' },
  facts: [biases('llama'), normsOfTensors],
  hf: {
    modelType: 'olmo2',
    architecture: 'Olmo2ForCausalLM',
    defaults: { max_position_embeddings: 2048, rms_norm_eps: 1e-5 },
  },
  gguf: { architecture: 'olmo2', rotary: 'halves' },
};
