import { allButEvery, rotatedBlocks, window } from '../../spelling/blocks.ts';
import { blocksWith, type ExpertBlocks, experts, listedBlocks } from '../../spelling/experts.ts';
import { count } from '../../spelling/fact.ts';
import type { Fact, HfSpelling, Relative } from '../../spelling/relative.ts';

/** Experts in every step-th block, with a step of 0 in none; config.json may list the blocks instead. */
const interleaved: ExpertBlocks = {
  readHf: (keys, { blockCount }) => {
    const step = keys.count('interleave_moe_layer_step', 1, 0);
    const listed = listedBlocks(keys, 'moe_layers', blockCount);
    return blocksWith(blockCount, (block) => (listed === null ? (block + 1) % step === 0 : listed.has(block)));
  },
  writeHf: (blocks, { blockCount }) => ({
    interleave_moe_layer_step: stepOf(blocks),
    moe_layers: Array.from({ length: blockCount }, (_, block) => block).filter(
      (block) => blocks === null || blocks[block],
    ),
  }),
  readGguf: (keys, { blockCount }) => {
    const step = keys.count('interleave_moe_layer_step', 1, 0);
    return blocksWith(blockCount, (block) => (block + 1) % step === 0);
  },
  writeGguf: (blocks) => [['interleave_moe_layer_step', 'u32', stepOf(blocks)]],
};

const stepOf = (blocks: readonly boolean[] | null) => (blocks === null ? 1 : blocks.indexOf(true) + 1);

/** What llama.cpp takes where GGUF has no key: its files do not say these. */
const GGUF_CHUNK = 8192;
const GGUF_GROWTH = { interval: 8192, offset: 1, slope: 0.1, blocks: 'unrotated' } as const;
/** The one size of the family without norms of queries and keys. */
const MAVERICK_EXPERTS = 128;

/**
 * Which blocks rotate, and which see their own chunk only: by config.json the same ones, where it does not list kinds of attention. In
 * GGUF all but every fourth; a window of 0 says that all blocks rotate and see everything.
 */
const blocks: Fact = (() => {
  const rotates = rotatedBlocks({
    rotates: allButEvery(4),
    listKey: 'no_rope_layers',
    periodKey: 'no_rope_layer_interval',
  });
  const chunks = window({
    slides: (block, { rotatedBlocks: rotated }) => rotated?.[block] ?? true,
    hfWindow: 'attention_chunk_size',
    hfType: 'chunked_attention',
  });
  return {
    fields: ['slidingWindow', 'slidingBlocks', 'rotatedBlocks'],
    readHf: (keys, known) => {
      const rotated = rotates.readHf(keys, known);
      return { ...rotated, ...chunks.readHf(keys, { ...known, ...rotated }) };
    },
    writeHf: (config) => ({ ...rotates.writeHf(config), ...chunks.writeHf(config) }),
    readGguf: (keys, known, file) => {
      if (keys.take('attention.sliding_window') === 0) {
        return { slidingWindow: null, slidingBlocks: null, rotatedBlocks: null };
      }
      const rotated = rotates.readGguf(keys, known, file);
      return { ...rotated, slidingWindow: GGUF_CHUNK, slidingBlocks: rotated.rotatedBlocks ?? null };
    },
    writeGguf: ({ slidingWindow }) => (slidingWindow === null ? [['attention.sliding_window', 'u32', 0]] : []),
  };
})();

/** Attention's temperature: queries without rotations grow with their position. */
const temperature: Fact = {
  fields: ['queryGrowth'],
  readHf: (keys) => {
    const isOn = keys.take('attn_temperature_tuning');
    const [interval, slope] = [keys.number('floor_scale', 8192), keys.number('attn_scale', 0.1)];
    return { queryGrowth: isOn === false || isOn === 0 ? null : { ...GGUF_GROWTH, interval, slope } };
  },
  writeHf: ({ queryGrowth }) => ({
    attn_temperature_tuning: queryGrowth !== null,
    ...(queryGrowth && { floor_scale: queryGrowth.interval, attn_scale: queryGrowth.slope }),
  }),
  readGguf: (_, { slidingWindow }) => ({ queryGrowth: slidingWindow === null ? null : GGUF_GROWTH }),
  writeGguf: () => [],
};

const norms: Fact = {
  fields: ['qkNorm'],
  readHf: (keys) => ({ qkNorm: keys.flag('use_qk_norm', true) ? 'unit' : 'none' }),
  writeHf: ({ qkNorm }) => ({ use_qk_norm: qkNorm === 'unit' }),
  readGguf: (keys) => ({ qkNorm: keys.peek('expert_count') === MAVERICK_EXPERTS ? 'none' : 'unit' }),
  writeGguf: () => [],
};

const hf = {
  rotary: 'pairs',
  defaults: {
    num_key_value_heads: 8,
    head_dim: 128,
    max_position_embeddings: 131_072,
    rms_norm_eps: 1e-5,
    rope_theta: 500_000,
    attention_chunk_size: 8192,
    num_local_experts: 16,
    num_experts_per_tok: 1,
  },
  names: {
    tensors: {
      wGate_FD: 'feed_forward.gate_proj.weight',
      wUp_FD: 'feed_forward.up_proj.weight',
      wDown_DF: 'feed_forward.down_proj.weight',
      wRouter_XD: 'feed_forward.router.weight',
      wGate_XGD: 'feed_forward.experts.gate',
      wUp_XGD: 'feed_forward.experts.up',
      wDown_XDG: 'feed_forward.experts.down',
      wGateShared_JD: 'feed_forward.shared_expert.gate_proj.weight',
      wUpShared_JD: 'feed_forward.shared_expert.up_proj.weight',
      wDownShared_DJ: 'feed_forward.shared_expert.down_proj.weight',
    },
    stacks: {
      'feed_forward.experts.gate_up_proj': { parts: ['wGate_XGD', 'wUp_XGD'], outputs: 'columns', order: 'apart' },
      'feed_forward.experts.down_proj': { parts: ['wDown_XDG'], outputs: 'columns', order: 'apart' },
    },
  },
} as const satisfies Partial<HfSpelling>;

const shared = {
  name: 'llama4',
  choices: { windowKind: 'chunks' },
  facts: [
    count('ffnWidth', { hf: 'intermediate_size_mlp', gguf: 'feed_forward_length' }),
    blocks,
    temperature,
    norms,
    experts({
      count: 'num_local_experts',
      width: 'intermediate_size',
      weights: 'sigmoid',
      weighs: 'inputs',
      shared: true,
      blocks: interleaved,
      optional: true,
    }),
  ],
} as const satisfies Partial<Relative>;

/**
 * Llama 4, text: one expert of many and a shared one, blocks without positions whose queries grow, chunks of attention in the others,
 * norms of queries and keys without gains. Source: Meta 2025, the models' cards, and meta-llama/llama-models (llama4/model.py, moe.py).
 */
export const llama4: readonly Relative[] = [
  {
    ...shared,
    hf: { ...hf, modelType: 'llama4_text', architecture: 'Llama4ForCausalLM' },
    gguf: { architecture: 'llama4', rotary: 'pairs' },
  },
  {
    ...shared,
    hf: {
      ...hf,
      modelType: 'llama4',
      architecture: 'Llama4ForConditionalGeneration',
      textConfig: 'text_config',
    },
    gguf: null,
  },
];
