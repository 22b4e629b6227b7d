import { biases } from '../../spelling/common.ts';
import { experts } from '../../spelling/experts.ts';
import { always } from '../../spelling/fact.ts';
import type { Relative } from '../../spelling/relative.ts';

/** OLMoE: 64 small experts, norms of whole rows of queries and keys. Source: Muennighoff et al. 2024, arXiv:2409.02060 §2. */
export const olmoe: Relative = {
  name: 'olmoe',
  choices: { qkNorm: 'row' },
  facts: [
    biases('llama'),
    experts({ count: 'num_experts', width: null, weights: { hf: 'norm_topk_prob', gguf: 'all' } }),
    always({ hf: 'clip_qkv', gguf: 'attention.clamp_kqv' }, [null, 0], 'queries, keys and values are not cut'),
  ],
  hf: {
    modelType: 'olmoe',
    architecture: 'OlmoeForCausalLM',
    defaults: { max_position_embeddings: 4096, rms_norm_eps: 1e-5, num_experts: 64, num_experts_per_tok: 8 },
  },
  gguf: { architecture: 'olmoe', rotary: 'halves' },
};
