import { activation, biases } from '../spelling/common.ts';
import { count, number } from '../spelling/fact.ts';
import type { Relative } from '../spelling/relative.ts';

/** EXAONE 3, 3.5 and Deep of LG: LLaMA's mathematics under names of its own. Source: An et al. 2024, arXiv:2408.03541. */
export const exaone: Relative = {
  name: 'exaone',
  facts: [
    count('blockCount', { hf: 'num_layers', gguf: 'block_count' }),
    number('normEps', { hf: 'layer_norm_epsilon', gguf: 'attention.layer_norm_rms_epsilon' }),
    activation('swiglu', { key: 'activation_function', names: ['silu', 'swish'] }),
    biases('none'),
  ],
  hf: {
    modelType: 'exaone',
    architecture: 'ExaoneForCausalLM',
    defaults: { max_position_embeddings: 2048, layer_norm_epsilon: 1e-5, rope_theta: 10_000 },
    names: {
      blocks: 'transformer.h',
      tensors: {
        embed_VD: 'transformer.wte.weight',
        norm_D: 'transformer.ln_f.weight',
        attnNorm_D: 'ln_1.weight',
        wq_QD: 'attn.attention.q_proj.weight',
        wk_PD: 'attn.attention.k_proj.weight',
        wv_PD: 'attn.attention.v_proj.weight',
        wo_DQ: 'attn.attention.out_proj.weight',
        ffnNorm_D: 'ln_2.weight',
        wGate_FD: 'mlp.c_fc_0.weight',
        wUp_FD: 'mlp.c_fc_1.weight',
        wDown_DF: 'mlp.c_proj.weight',
      },
    },
  },
  gguf: { architecture: 'exaone', rotary: 'halves' },
};
