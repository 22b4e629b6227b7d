import { experts } from '../../spelling/experts.ts';
import { always } from '../../spelling/fact.ts';
import type { Relative } from '../../spelling/relative.ts';
import { qwen3 } from '../qwen3.ts';

/** Qwen 3 with experts in every block. Source: Yang et al. 2025, arXiv:2505.09388 §2. */
export const qwen3moe: Relative = {
  ...qwen3,
  name: 'qwen3moe',
  facts: [
    ...qwen3.facts!,
    experts({ count: 'num_experts', width: 'moe_intermediate_size', normalized: 'norm_topk_prob' }),
    always({ hf: 'decoder_sparse_step', gguf: null }, [1, null], 'every block has experts'),
    always({ hf: 'mlp_only_layers', gguf: null }, [null], 'every block has experts'),
  ],
  hf: {
    ...qwen3.hf!,
    modelType: 'qwen3_moe',
    architecture: 'Qwen3MoeForCausalLM',
    defaults: { ...qwen3.hf!.defaults, num_key_value_heads: 4, num_experts: 128, num_experts_per_tok: 8 },
  },
  gguf: { architecture: 'qwen3moe', rotary: 'halves' },
};
