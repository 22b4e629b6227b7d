import { allButEvery, window } from '../../spelling/blocks.ts';
import { numberOrNone } from '../../spelling/fact.ts';
import type { Fact, Relative } from '../../spelling/relative.ts';
import { gemmaDefaults, gemmaFacts } from './gemma.ts';

/**
 * Scores are divided by the root of query_pre_attn_scalar. GGUF does not say it: llama.cpp takes the head size, but width / heads for
 * the model of 27 B, which it knows by its number of blocks.
 */
export function queryScale(largestBlocks: number): Fact {
  const ofGguf = ({ blockCount, width, headCount }: { blockCount: number; width: number; headCount: number }) =>
    blockCount === largestBlocks ? (width / headCount) ** -0.5 : null;
  return {
    fields: ['attentionScale'],
    readHf: (keys, { headSize }) => {
      const divisor = keys.number('query_pre_attn_scalar', 256);
      return { attentionScale: divisor === headSize ? null : divisor ** -0.5 };
    },
    writeHf: ({ attentionScale, headSize }) => ({
      query_pre_attn_scalar: attentionScale === null ? headSize : Number((attentionScale ** -2).toPrecision(12)),
    }),
    readGguf: (_, known) => ({ attentionScale: ofGguf(known) }),
    writeGguf: () => [],
  };
}

/** Names of a block with norms on both ends of its branches, in Hugging Face's files. */
export const bothNorms = { tensors: { ffnNorm_D: 'pre_feedforward_layernorm.weight' } } as const;

/** Gemma 2: norms on both ends of a branch, soft caps, a sliding window in every other block. Source: arXiv:2408.00118 §2. */
export const gemma2: Relative = {
  name: 'gemma2',
  choices: { activation: 'geglu-tanh', normPlacement: 'both' },
  facts: [
    ...gemmaFacts,
    queryScale(46),
    numberOrNone('attentionCap', { hf: 'attn_logit_softcapping', gguf: 'attn_logit_softcapping' }),
    numberOrNone('logitCap', { hf: 'final_logit_softcapping', gguf: 'final_logit_softcapping' }),
    window({ slides: allButEvery(2) }),
  ],
  hf: {
    modelType: 'gemma2',
    architecture: 'Gemma2ForCausalLM',
    defaults: {
      ...gemmaDefaults,
      sliding_window: 4096,
      attn_logit_softcapping: 50,
      final_logit_softcapping: 30,
    },
    gainsFromOne: true,
    names: bothNorms,
  },
  gguf: { architecture: 'gemma2', rotary: 'halves' },
};
