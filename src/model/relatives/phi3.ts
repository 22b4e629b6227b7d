import { window } from '../spelling/blocks.ts';
import { always } from '../spelling/fact.ts';
import type { Relative } from '../spelling/relative.ts';
import { rope } from '../spelling/rope.ts';

/** Phi-3 and Phi-4: projections stored as one, LongRoPE, and in the mini a rotated part of each head. Source: arXiv:2404.14219, 2503.01743. */
export const phi3: Relative = {
  name: 'phi3',
  facts: [
    rope({ fraction: true }),
    window(),
    always({ hf: 'full_attn_mod', gguf: null }, [1, null], 'every block attends alike'),
    always({ hf: 'interpolate_factor', gguf: null }, [1, null], 'positions are stretched by LongRoPE alone'),
    always({ hf: 'lm_head_bias', gguf: null }, [false, null], 'the output layer has no bias'),
  ],
  hf: {
    modelType: 'phi3',
    architecture: 'Phi3ForCausalLM',
    defaults: { max_position_embeddings: 4096, rms_norm_eps: 1e-5, original_max_position_embeddings: 4096 },
    names: {
      fused: {
        'self_attn.qkv_proj.weight': ['wq_QD', 'wk_PD', 'wv_PD'],
        'mlp.gate_up_proj.weight': ['wGate_FD', 'wUp_FD'],
      },
    },
  },
  gguf: {
    architecture: 'phi3',
    rotary: 'halves',
    names: {
      fused: { 'attn_qkv.weight': ['wq_QD', 'wk_PD', 'wv_PD'], 'ffn_up.weight': ['wGate_FD', 'wUp_FD'] },
    },
  },
};
