import { allButEvery, window } from '../spelling/blocks.ts';
import { derived } from '../spelling/fact.ts';
import type { Relative } from '../spelling/relative.ts';
import { olmo2 } from './olmo2.ts';

/** OLMo 3: OLMo 2 with a sliding window in three of four blocks, whose positions are not stretched. GGUF calls it olmo2. */
export const olmo3: Relative = {
  ...olmo2,
  name: 'olmo3',
  facts: [
    ...olmo2.facts!,
    window({ slides: allButEvery(4), gguf: 'period' }),
    derived(['slidingTheta'], ({ slidingWindow, ropeTheta }) => ({
      slidingTheta: slidingWindow === null ? null : ropeTheta,
    })),
  ],
  hf: {
    modelType: 'olmo3',
    architecture: 'Olmo3ForCausalLM',
    defaults: { max_position_embeddings: 2048, rms_norm_eps: 1e-5, sliding_window: 4096 },
  },
};
