import type { Fact, Relative } from '../spelling/relative.ts';

/** transformers' code that comes with the files derives three scalings; GGUF stores them. */
const scalings: Fact = {
  fields: ['embeddingScale', 'residualScale', 'logitDivisor'],
  readHf: (keys, { width, blockCount }) => ({
    embeddingScale: keys.number('scale_emb', 1),
    residualScale: keys.number('scale_depth', 1) / Math.sqrt(blockCount),
    logitDivisor: width / keys.number('dim_model_base', 1),
  }),
  writeHf: ({ embeddingScale, residualScale, logitDivisor, width, blockCount }) => ({
    scale_emb: embeddingScale,
    scale_depth: residualScale * Math.sqrt(blockCount),
    dim_model_base: width / logitDivisor,
  }),
  readGguf: (keys, { width, blockCount }) => ({
    embeddingScale: keys.number('embedding_scale', 12),
    residualScale: keys.number('residual_scale', 1.4 / Math.sqrt(blockCount)),
    logitDivisor: keys.number('logit_scale', width / 256),
  }),
  writeGguf: ({ embeddingScale, residualScale, logitDivisor }) => [
    ['embedding_scale', 'f32', embeddingScale],
    ['residual_scale', 'f32', residualScale],
    ['logit_scale', 'f32', logitDivisor],
  ],
};

/** MiniCPM 1, 2 and 4: scalings of μP. Source: Hu et al. 2024, arXiv:2404.06395 appendix A. */
export const minicpm: Relative = {
  name: 'minicpm',
  facts: [scalings],
  hf: {
    modelType: 'minicpm',
    architecture: 'MiniCPMForCausalLM',
    defaults: { max_position_embeddings: 2048, rms_norm_eps: 1e-6 },
  },
  gguf: { architecture: 'minicpm', rotary: 'pairs' },
};
