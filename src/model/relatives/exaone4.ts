import { allButEvery, rotatedBlocks, window } from '../spelling/blocks.ts';
import type { Relative } from '../spelling/relative.ts';

/**
 * EXAONE 4: norms on the branches' outputs and of every head's queries and keys; where blocks have windows, those without do not
 * rotate. Source: LG AI Research 2025, arXiv:2507.11407 §2.1.
 */
export const exaone4: Relative = {
  name: 'exaone4',
  choices: { normPlacement: 'output', qkNorm: 'head' },
  facts: [
    window({ slides: allButEvery(4), hfPeriods: ['sliding_window_pattern'], gguf: 'period' }),
    rotatedBlocks({
      rotates: (block, { slidingWindow, slidingBlocks }) =>
        slidingWindow === null || slidingBlocks === null || slidingBlocks[block] === true,
    }),
  ],
  hf: {
    modelType: 'exaone4',
    architecture: 'Exaone4ForCausalLM',
    defaults: { num_key_value_heads: 32, max_position_embeddings: 2048, rms_norm_eps: 1e-5 },
  },
  gguf: { architecture: 'exaone4', rotary: 'halves' },
};
