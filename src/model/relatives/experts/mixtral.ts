import { window } from '../../spelling/blocks.ts';
import { experts } from '../../spelling/experts.ts';
import type { Relative } from '../../spelling/relative.ts';

/** Mixtral: Mistral with eight experts in place of the feed-forward layer. Source: Jiang et al. 2024, arXiv:2401.04088. GGUF calls it llama. */
export const mixtral: Relative = {
  name: 'mixtral',
  facts: [window(), experts({ count: 'num_local_experts', width: null, weights: 'chosen' })],
  hf: {
    modelType: 'mixtral',
    architecture: 'MixtralForCausalLM',
    defaults: {
      num_key_value_heads: 8,
      max_position_embeddings: 131_072,
      rms_norm_eps: 1e-5,
      rope_theta: 1_000_000,
      num_local_experts: 8,
      num_experts_per_tok: 2,
    },
    names: {
      tensors: {
        wRouter_XD: 'block_sparse_moe.gate.weight',
        wGate_XGD: 'block_sparse_moe.experts.*.w1.weight',
        wUp_XGD: 'block_sparse_moe.experts.*.w3.weight',
        wDown_XDG: 'block_sparse_moe.experts.*.w2.weight',
      },
    },
  },
  gguf: { architecture: 'llama', rotary: 'pairs' },
};
