import { blocksWith, type ExpertBlocks, experts, listedBlocks } from '../../spelling/experts.ts';
import type { Relative } from '../../spelling/relative.ts';
import { qwen3 } from '../qwen3.ts';

/** Experts in every decoder_sparse_step-th block that is not listed as one of a plain layer. GGUF has them in all. */
const sparseBlocks: ExpertBlocks = {
  readHf: (keys, { blockCount }) => {
    const step = keys.count('decoder_sparse_step', 1);
    const plain = listedBlocks(keys, 'mlp_only_layers', blockCount);
    return blocksWith(blockCount, (block) => (block + 1) % step === 0 && !plain?.has(block));
  },
  writeHf: (blocks) => ({
    decoder_sparse_step: 1,
    mlp_only_layers: [...(blocks ?? []).keys()].filter((block) => !blocks![block]),
  }),
  readGguf: () => null,
  writeGguf: () => [],
};

/** Qwen 3 with experts. Source: Yang et al. 2025, arXiv:2505.09388 §2. */
export const qwen3moe: Relative = {
  ...qwen3,
  name: 'qwen3moe',
  facts: [
    ...qwen3.facts!,
    experts({
      count: 'num_experts',
      width: 'moe_intermediate_size',
      weights: { hf: 'norm_topk_prob', gguf: 'chosen' },
      blocks: sparseBlocks,
    }),
  ],
  hf: {
    ...qwen3.hf!,
    modelType: 'qwen3_moe',
    architecture: 'Qwen3MoeForCausalLM',
    defaults: { ...qwen3.hf!.defaults, num_key_value_heads: 4, num_experts: 128, num_experts_per_tok: 8 },
  },
  gguf: { architecture: 'qwen3moe', rotary: 'halves' },
};
