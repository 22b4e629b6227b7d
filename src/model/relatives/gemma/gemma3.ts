import { Facts } from '../../../formats/config/facts.ts';
import { isObject } from '../../../formats/json.ts';
import { allButEvery, window } from '../../spelling/blocks.ts';
import { always, numberOrNone } from '../../spelling/fact.ts';
import type { Fact, Relative } from '../../spelling/relative.ts';
import { readHfScaling, rope } from '../../spelling/rope.ts';
import { gemmaDefaults, gemmaFacts } from './gemma.ts';
import { bothNorms, queryScale } from './gemma2.ts';

const LOCAL_THETA = 10_000;
const plainRope = rope();

/** Two thetas: blocks with a window have their own, and are not stretched. transformers 5 has an object for each kind of block. */
const twoThetas: Fact = {
  fields: ['ropeTheta', 'ropeScaling', 'rotatedSize', 'slidingTheta'],
  readHf: (keys, known) => {
    const parameters = keys.peek('rope_parameters');
    const full = isObject(parameters) ? parameters.full_attention : undefined;
    if (!(isObject(parameters) && isObject(full))) {
      return { ...plainRope.readHf(keys, known), slidingTheta: keys.number('rope_local_base_freq', LOCAL_THETA) };
    }
    keys.take('rope_parameters');
    keys.ignore(['rope_theta', 'rope_local_base_freq', 'rope_scaling']);
    const inner = new Facts(keys.where, full, 'rope_parameters.full_attention.');
    const read = readHfScaling(inner, null, null, known);
    keys.include(inner);
    const sliding = isObject(parameters.sliding_attention) ? parameters.sliding_attention : {};
    const local = new Facts(keys.where, sliding, 'rope_parameters.sliding_attention.');
    const slidingTheta = local.number('rope_theta', LOCAL_THETA);
    local.only('rope_type', ['default', null], 'blocks with a window are not stretched');
    keys.include(local);
    return { ...read, slidingTheta };
  },
  writeHf: (config) => ({ ...plainRope.writeHf(config), rope_local_base_freq: config.slidingTheta }),
  readGguf: (keys, known, file) => ({
    ...plainRope.readGguf(keys, known, file),
    slidingTheta: keys.number('rope.freq_base_swa', LOCAL_THETA),
  }),
  writeGguf: (config) => [
    ...plainRope.writeGguf(config),
    ...(config.slidingTheta === LOCAL_THETA ? [] : ([['rope.freq_base_swa', 'f32', config.slidingTheta!]] as const)),
  ],
};

const shared = {
  choices: { activation: 'geglu-tanh', normPlacement: 'both', qkNorm: 'head' },
  facts: [
    ...gemmaFacts,
    queryScale(62),
    twoThetas,
    numberOrNone('attentionCap', { hf: 'attn_logit_softcapping', gguf: null }),
    numberOrNone('logitCap', { hf: 'final_logit_softcapping', gguf: 'final_logit_softcapping' }),
    always({ hf: 'use_bidirectional_attention', gguf: null }, [false, null], 'the model is a decoder'),
    window({
      slides: allButEvery(6),
      hfPeriods: ['sliding_window_pattern', '_sliding_window_pattern'],
      gguf: 'period',
    }),
  ],
} as const;

const defaults = {
  ...gemmaDefaults,
  max_position_embeddings: 131_072,
  rope_theta: 1_000_000,
  sliding_window: 4096,
  vocab_size: 262_208,
} as const;

/**
 * Gemma 3, text: norms of queries and keys, and five blocks with a window to one without. Source: Gemma team 2025, arXiv:2503.19786 §2.
 * Of the models that also see, the text part is read.
 */
export const gemma3: readonly Relative[] = [
  {
    name: 'gemma3',
    ...shared,
    hf: {
      modelType: 'gemma3_text',
      architecture: 'Gemma3ForCausalLM',
      defaults,
      gainsFromOne: true,
      names: bothNorms,
    },
    gguf: { architecture: 'gemma3', rotary: 'halves' },
  },
  {
    name: 'gemma3',
    ...shared,
    hf: {
      modelType: 'gemma3',
      architecture: 'Gemma3ForConditionalGeneration',
      textConfig: 'text_config',
      defaults: { num_attention_heads: 8, num_key_value_heads: 4, ...defaults },
      gainsFromOne: true,
      names: bothNorms,
    },
    gguf: null,
  },
];
