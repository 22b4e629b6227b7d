/**
 * The one table of a LLaMA's parameters: our name → shape, and its name in Hugging Face, GGUF and Meta files.
 * Loaders, writers, the counter, the optimizer and the inspector all read it. An absent foreign name means that the format has none.
 */
import { type Dimension, dimensions, isGated, type LlamaConfig } from './config.ts';

export interface ParameterSpec {
  readonly shape: readonly Dimension[];
  /** `*` stands for the number of an expert: one tensor for each. */
  readonly hf?: string;
  /** A vector's shape in files, where they store it as a matrix. */
  readonly inFile?: readonly Dimension[];
  readonly gguf?: string;
  /** GGUF's older form: a tensor an expert. It is read. */
  readonly ggufEach?: string;
  readonly meta?: string;
  /** Meta's model-parallel shards are joined along this axis of the full shape; absent: every shard holds the same copy. */
  readonly shardAxis?: 0 | 1;
  /** Rows are rotary pairs of this many heads: Hugging Face stores each head's halves apart, the papers neighbouring pairs. */
  readonly rotary?: 'H' | 'K';
  /** Present only when this holds, of block `block`; absent: always. */
  readonly when?: (config: LlamaConfig, block: number) => boolean;
  /** Gathered while training, not learnt: the running statistics of a batch norm. They are not counted as parameters. */
  readonly statistic?: 'mean' | 'variance';
}

const gated = (c: LlamaConfig) => isGated(c.activation);
const ownNorm = (c: LlamaConfig) => c.normPlacement !== 'output';
const routed = (c: LlamaConfig, block: number) => c.experts !== null && c.experts.blocks?.[block] !== false;
const dense = (c: LlamaConfig, block: number) => !routed(c, block);
const ffnBias = (c: LlamaConfig, block: number) => c.feedForwardBias && dense(c, block);
const routedBias = (c: LlamaConfig, block: number) => routed(c, block) && c.experts!.bias;
const shared = (c: LlamaConfig, block: number) => routed(c, block) && c.experts!.shared !== null;
const headNorm = (c: LlamaConfig) => c.qkNorm === 'head';
const rowNorm = (c: LlamaConfig) => c.qkNorm === 'row';
const outNorm = (c: LlamaConfig) => c.normPlacement === 'output' || c.normPlacement === 'both';
const centred = (c: LlamaConfig) => c.norm !== 'rms';
const batch = (c: LlamaConfig) => c.norm === 'batch';

export const modelTensors = {
  embed_VD: {
    shape: ['V', 'D'],
    hf: 'model.embed_tokens.weight',
    gguf: 'token_embd.weight',
    meta: 'tok_embeddings.weight',
    shardAxis: 1,
  },
  positions_CD: { shape: ['C', 'D'], hf: 'model.embed_positions.weight', when: (c) => c.positions === 'learned' },
  norm_D: { shape: ['D'], hf: 'model.norm.weight', gguf: 'output_norm.weight', meta: 'norm.weight' },
  normShift_D: { shape: ['D'], hf: 'model.norm.bias', when: centred },
  normMean_D: { shape: ['D'], hf: 'model.norm.running_mean', statistic: 'mean', when: batch },
  normVariance_D: { shape: ['D'], hf: 'model.norm.running_var', statistic: 'variance', when: batch },
  head_VD: {
    shape: ['V', 'D'],
    hf: 'lm_head.weight',
    gguf: 'output.weight',
    meta: 'output.weight',
    shardAxis: 0,
    when: (c) => !c.tiedEmbeddings,
  },
} as const satisfies Record<string, ParameterSpec>;

export const blockTensors = {
  attnNorm_D: {
    shape: ['D'],
    hf: 'input_layernorm.weight',
    gguf: 'attn_norm.weight',
    meta: 'attention_norm.weight',
    when: ownNorm,
  },
  attnNormShift_D: { shape: ['D'], hf: 'input_layernorm.bias', when: centred },
  attnNormMean_D: { shape: ['D'], hf: 'input_layernorm.running_mean', statistic: 'mean', when: batch },
  attnNormVariance_D: { shape: ['D'], hf: 'input_layernorm.running_var', statistic: 'variance', when: batch },
  wq_QD: {
    shape: ['Q', 'D'],
    hf: 'self_attn.q_proj.weight',
    gguf: 'attn_q.weight',
    meta: 'attention.wq.weight',
    shardAxis: 0,
    rotary: 'H',
  },
  wk_PD: {
    shape: ['P', 'D'],
    hf: 'self_attn.k_proj.weight',
    gguf: 'attn_k.weight',
    meta: 'attention.wk.weight',
    shardAxis: 0,
    rotary: 'K',
  },
  wv_PD: {
    shape: ['P', 'D'],
    hf: 'self_attn.v_proj.weight',
    gguf: 'attn_v.weight',
    meta: 'attention.wv.weight',
    shardAxis: 0,
  },
  bq_Q: { shape: ['Q'], hf: 'self_attn.q_proj.bias', gguf: 'attn_q.bias', rotary: 'H', when: (c) => c.attentionBias },
  bk_P: { shape: ['P'], hf: 'self_attn.k_proj.bias', gguf: 'attn_k.bias', rotary: 'K', when: (c) => c.attentionBias },
  bv_P: { shape: ['P'], hf: 'self_attn.v_proj.bias', gguf: 'attn_v.bias', when: (c) => c.attentionBias },
  qNorm_E: { shape: ['E'], hf: 'self_attn.q_norm.weight', gguf: 'attn_q_norm.weight', rotary: 'H', when: headNorm },
  kNorm_E: { shape: ['E'], hf: 'self_attn.k_norm.weight', gguf: 'attn_k_norm.weight', rotary: 'K', when: headNorm },
  qNorm_Q: { shape: ['Q'], hf: 'self_attn.q_norm.weight', gguf: 'attn_q_norm.weight', rotary: 'H', when: rowNorm },
  kNorm_P: { shape: ['P'], hf: 'self_attn.k_norm.weight', gguf: 'attn_k_norm.weight', rotary: 'K', when: rowNorm },
  sinks_H: { shape: ['H'], hf: 'self_attn.sinks', gguf: 'attn_sinks.weight', when: (c) => c.attentionSinks },
  wo_DQ: {
    shape: ['D', 'Q'],
    hf: 'self_attn.o_proj.weight',
    gguf: 'attn_output.weight',
    meta: 'attention.wo.weight',
    shardAxis: 1,
  },
  bo_D: {
    shape: ['D'],
    hf: 'self_attn.o_proj.bias',
    gguf: 'attn_output.bias',
    when: (c) => c.attentionOutputBias,
  },
  attnOutNorm_D: {
    shape: ['D'],
    hf: 'post_attention_layernorm.weight',
    gguf: 'post_attention_norm.weight',
    when: outNorm,
  },
  ffnNorm_D: {
    shape: ['D'],
    hf: 'post_attention_layernorm.weight',
    gguf: 'ffn_norm.weight',
    meta: 'ffn_norm.weight',
    when: ownNorm,
  },
  ffnNormShift_D: { shape: ['D'], hf: 'post_attention_layernorm.bias', when: centred },
  ffnNormMean_D: { shape: ['D'], hf: 'post_attention_layernorm.running_mean', statistic: 'mean', when: batch },
  ffnNormVariance_D: { shape: ['D'], hf: 'post_attention_layernorm.running_var', statistic: 'variance', when: batch },
  wGate_FD: {
    shape: ['F', 'D'],
    hf: 'mlp.gate_proj.weight',
    gguf: 'ffn_gate.weight',
    meta: 'feed_forward.w1.weight',
    shardAxis: 0,
    when: (c, block) => dense(c, block) && gated(c),
  },
  wUp_FD: {
    shape: ['F', 'D'],
    hf: 'mlp.up_proj.weight',
    gguf: 'ffn_up.weight',
    meta: 'feed_forward.w3.weight',
    shardAxis: 0,
    when: dense,
  },
  wDown_DF: {
    shape: ['D', 'F'],
    hf: 'mlp.down_proj.weight',
    gguf: 'ffn_down.weight',
    meta: 'feed_forward.w2.weight',
    shardAxis: 1,
    when: dense,
  },
  wRouter_XD: { shape: ['X', 'D'], hf: 'mlp.gate.weight', gguf: 'ffn_gate_inp.weight', when: routed },
  wGate_XGD: {
    shape: ['X', 'G', 'D'],
    hf: 'mlp.experts.*.gate_proj.weight',
    gguf: 'ffn_gate_exps.weight',
    ggufEach: 'ffn_gate.*.weight',
    when: routed,
  },
  wUp_XGD: {
    shape: ['X', 'G', 'D'],
    hf: 'mlp.experts.*.up_proj.weight',
    gguf: 'ffn_up_exps.weight',
    ggufEach: 'ffn_up.*.weight',
    when: routed,
  },
  wDown_XDG: {
    shape: ['X', 'D', 'G'],
    hf: 'mlp.experts.*.down_proj.weight',
    gguf: 'ffn_down_exps.weight',
    ggufEach: 'ffn_down.*.weight',
    when: routed,
  },
  bRouter_X: { shape: ['X'], hf: 'mlp.gate.bias', gguf: 'ffn_gate_inp.bias', when: routedBias },
  bGate_XG: { shape: ['XG'], gguf: 'ffn_gate_exps.bias', inFile: ['X', 'G'], when: routedBias },
  bUp_XG: { shape: ['XG'], gguf: 'ffn_up_exps.bias', inFile: ['X', 'G'], when: routedBias },
  bDown_XD: { shape: ['XD'], gguf: 'ffn_down_exps.bias', inFile: ['X', 'D'], when: routedBias },
  wGateShared_JD: {
    shape: ['J', 'D'],
    hf: 'mlp.shared_expert.gate_proj.weight',
    gguf: 'ffn_gate_shexp.weight',
    when: shared,
  },
  wUpShared_JD: {
    shape: ['J', 'D'],
    hf: 'mlp.shared_expert.up_proj.weight',
    gguf: 'ffn_up_shexp.weight',
    when: shared,
  },
  wDownShared_DJ: {
    shape: ['D', 'J'],
    hf: 'mlp.shared_expert.down_proj.weight',
    gguf: 'ffn_down_shexp.weight',
    when: shared,
  },
  bGate_F: {
    shape: ['F'],
    hf: 'mlp.gate_proj.bias',
    gguf: 'ffn_gate.bias',
    when: (c, block) => ffnBias(c, block) && gated(c),
  },
  bUp_F: { shape: ['F'], hf: 'mlp.up_proj.bias', gguf: 'ffn_up.bias', when: ffnBias },
  bDown_D: { shape: ['D'], hf: 'mlp.down_proj.bias', gguf: 'ffn_down.bias', when: ffnBias },
  ffnOutNorm_D: {
    shape: ['D'],
    hf: 'post_feedforward_layernorm.weight',
    gguf: 'post_ffw_norm.weight',
    when: outNorm,
  },
} as const satisfies Record<string, ParameterSpec>;

export type ModelTensor = keyof typeof modelTensors;
export type BlockTensor = keyof typeof blockTensors;

/** One parameter of a model: `embed_VD`, `blocks.3.wq_QD`. */
export interface Parameter {
  readonly name: string;
  /** Key in modelTensors or blockTensors. */
  readonly key: ModelTensor | BlockTensor;
  /** null for the parameters outside the blocks. */
  readonly block: number | null;
  readonly spec: ParameterSpec;
  readonly shape: readonly number[];
  /** Its shape in files, where that is another. */
  readonly inFile?: readonly number[];
}

/** What an untrained vector is filled with: gains and running variances 1, shifts, biases and running means 0. */
export function vectorStart(parameter: Parameter): 0 | 1 {
  return isGain(parameter) || parameter.spec.statistic === 'variance' ? 1 : 0;
}

/** The gain of a norm. */
export function isGain({ key }: Parameter): boolean {
  return /norm_[A-Z]$/i.test(key);
}

/** Every parameter of a model, in file order: embedding, blocks, final norm, head. */
export function listParameters(config: LlamaConfig): Parameter[] {
  const size = dimensions(config);
  const parameters: Parameter[] = [];
  const add = (key: ModelTensor | BlockTensor, spec: ParameterSpec, block: number | null) => {
    if (spec.when && !spec.when(config, block ?? 0)) return;
    const name = block === null ? key : `blocks.${block}.${key}`;
    const sizes = (letters: readonly Dimension[]) => letters.map((letter) => size[letter]);
    const inFile = spec.inFile && { inFile: sizes(spec.inFile) };
    parameters.push({ name, key, block, spec, shape: sizes(spec.shape), ...inFile });
  };
  const model = Object.entries(modelTensors) as [ModelTensor, ParameterSpec][];
  for (const [key, spec] of model) if (key === 'embed_VD' || key === 'positions_CD') add(key, spec, null);
  for (let block = 0; block < config.blockCount; block++) {
    for (const [key, spec] of Object.entries(blockTensors) as [BlockTensor, ParameterSpec][]) add(key, spec, block);
  }
  for (const [key, spec] of model) if (key !== 'embed_VD' && key !== 'positions_CD') add(key, spec, null);
  return parameters;
}

export function parameterCount(config: LlamaConfig): number {
  const learnt = listParameters(config).filter(({ spec }) => spec.statistic === undefined);
  return learnt.reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
}

/** The parameter's name in a file of the given kind, or null where the format has none. */
export function foreignName(
  parameter: Parameter,
  format: 'hf' | 'gguf' | 'meta',
  { tensors = {}, blocks }: ForeignNames = {},
): string | null {
  const name = tensors[parameter.key] ?? parameter.spec[format];
  if (name === undefined) return null;
  if (parameter.block === null) return name;
  const prefix = blocks ?? { hf: 'model.layers', gguf: 'blk', meta: 'layers' }[format];
  return `${prefix}.${parameter.block}.${name}`;
}

/** Where a relative's names are not those of the table. */
export interface ForeignNames {
  /** In place of `model.layers` or `blk`. */
  readonly blocks?: string;
  readonly tensors?: { readonly [key in ModelTensor | BlockTensor]?: string };
}
