import { activation, biases } from '../spelling/common.ts';
import type { Relative } from '../spelling/relative.ts';

/** LLaMA 1 to 3.2, and all that took its name: SmolLM 1 and 2, TinyLlama, Yi, Falcon 3, Kanana, Solar, … */
export const llama: Relative = {
  name: 'llama',
  facts: [biases('llama'), activation('swiglu', { names: ['silu', 'swish'] })],
  hf: {
    modelType: 'llama',
    architecture: 'LlamaForCausalLM',
    defaults: { max_position_embeddings: 2048, rms_norm_eps: 1e-6 },
  },
  gguf: { architecture: 'llama', rotary: 'pairs' },
};
