import { allButEvery, window } from '../../spelling/blocks.ts';
import { biases } from '../../spelling/common.ts';
import { experts } from '../../spelling/experts.ts';
import { always, derived } from '../../spelling/fact.ts';
import type { Fact, Relative } from '../../spelling/relative.ts';

const LIMIT = 7;

const routed = experts({ count: 'num_local_experts', width: null, weights: 'chosen' });
/** Its router and its experts have biases, which config.json does not say. */
const biased: Fact = {
  ...routed,
  readHf: (keys, known) => {
    const { experts: found } = routed.readHf(keys, known);
    keys.only('experts_per_token', [found!.used, null], 'num_experts_per_tok says it too');
    return { experts: { ...found!, bias: true } };
  },
};

/**
 * gpt-oss: experts with biases and a bounded SwiGLU, attention sinks, a window in every other block. Source: OpenAI 2025,
 * arXiv:2508.10925 §2. Hugging Face's files hold gates and inputs of the experts in turn, in blocks of MXFP4 or as x · w has them.
 */
export const gptoss: Relative = {
  name: 'gpt-oss',
  choices: { attentionSinks: true, swigluLimit: LIMIT },
  facts: [
    biases('llama'),
    window({ slides: allButEvery(2) }),
    biased,
    derived(['attentionSinks', 'swigluLimit'], () => ({ attentionSinks: true, swigluLimit: LIMIT })),
    always({ hf: 'swiglu_limit', gguf: null }, [LIMIT, null], "the bound of the family's SwiGLU"),
  ],
  hf: {
    modelType: 'gpt_oss',
    architecture: 'GptOssForCausalLM',
    defaults: {
      num_key_value_heads: 8,
      head_dim: 64,
      max_position_embeddings: 131_072,
      rms_norm_eps: 1e-5,
      rope_theta: 150_000,
      sliding_window: 128,
      attention_bias: true,
      num_local_experts: 128,
      num_experts_per_tok: 4,
    },
    names: {
      tensors: {
        wRouter_XD: 'mlp.router.weight',
        bRouter_X: 'mlp.router.bias',
        wGate_XGD: 'mlp.experts.gate',
        wUp_XGD: 'mlp.experts.up',
        wDown_XDG: 'mlp.experts.down',
        bGate_XG: 'mlp.experts.gate_bias',
        bUp_XG: 'mlp.experts.up_bias',
        bDown_XD: 'mlp.experts.down_proj_bias',
      },
      stacks: {
        'mlp.experts.gate_up_proj_blocks': {
          parts: ['wGate_XGD', 'wUp_XGD'],
          outputs: 'rows',
          order: 'in turn',
          readOnly: true,
        },
        'mlp.experts.down_proj_blocks': { parts: ['wDown_XDG'], outputs: 'rows', order: 'apart', readOnly: true },
        'mlp.experts.gate_up_proj': { parts: ['wGate_XGD', 'wUp_XGD'], outputs: 'columns', order: 'in turn' },
        'mlp.experts.down_proj': { parts: ['wDown_XDG'], outputs: 'columns', order: 'apart' },
        'mlp.experts.gate_up_proj_bias': { parts: ['bGate_XG', 'bUp_XG'], outputs: 'columns', order: 'in turn' },
      },
    },
  },
  gguf: {
    architecture: 'gpt-oss',
    rotary: 'halves',
    names: { tensors: { ffnNorm_D: 'post_attention_norm.weight' } },
  },
};
