// Makes test/golden/relatives: a tiny random model of every relative of LLaMA as GGUF, and what llama.cpp computes of it.
// Set-up, anywhere outside the project: npm init -y && npm i node-llama-cpp (its prebuilt binary comes inside its npm packages).
// Use: npx node scripts/golden-relatives.js FOLDER-WITH-node-llama-cpp [CASE …]
// A second process runs llama.cpp: scripts/golden-relatives-peer.mjs.
import { execFileSync } from 'node:child_process';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Random } from '../src/base/random.ts';
import { MemorySink } from '../src/formats/sink.ts';
import { ggufTokenizerFields } from '../src/model/checkpoint/write/gguf-tokenizer.ts';
import { ggufFileTypes, writeGgufCheckpoint } from '../src/model/checkpoint/write/write-gguf.ts';
import { isGain, listParameters } from '../src/model/parameters.ts';
import { readHfConfig } from '../src/model/spelling/hf.ts';
import { encodeRow } from '../src/quant/rows.ts';
import { byteVocabulary } from '../src/tokenizer/byte-vocabulary.ts';

const SEED = 7;
const IDS = [5, 9, 47, 3, 20, 41, 7, 7, 0, 33, 12, 60, 9, 47, 3, 21, 8, 55];
const GREEDY = 8;

const sizes = {
  hidden_size: 32,
  intermediate_size: 48,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  num_hidden_layers: 3,
  vocab_size: 272,
  max_position_embeddings: 128,
  rms_norm_eps: 1e-5,
  rope_theta: 10000,
  tie_word_embeddings: false,
};
const pairs = (from, step) => Array.from({ length: 3 }, (_, i) => from + step * i);
const llama3 = {
  rope_type: 'llama3',
  factor: 8,
  low_freq_factor: 1,
  high_freq_factor: 4,
  original_max_position_embeddings: 8192,
};
const gemma = {
  head_dim: 16,
  hidden_activation: 'gelu_pytorch_tanh',
  query_pre_attn_scalar: 16,
  tie_word_embeddings: true,
};

/** config.json of every case. */
const cases = {
  'llama-biases': { model_type: 'llama', attention_bias: true, mlp_bias: true },
  'mistral-nemo': { model_type: 'mistral', head_dim: 24, sliding_window: null },
  ministral3: {
    model_type: 'ministral3',
    head_dim: 16,
    rope_parameters: {
      type: 'yarn',
      rope_type: 'yarn',
      rope_theta: 1000000,
      factor: 16,
      original_max_position_embeddings: 8,
      beta_fast: 32,
      beta_slow: 1,
      mscale: 1,
      mscale_all_dim: 1,
      llama_4_scaling_beta: 0.1,
    },
    rope_theta: undefined,
  },
  qwen2: { model_type: 'qwen2' },
  qwen3: { model_type: 'qwen3', head_dim: 16, rope_theta: 1000000 },
  'qwen3-tied': { model_type: 'qwen3', head_dim: 8, tie_word_embeddings: true },
  smollm3: { model_type: 'smollm3', num_hidden_layers: 5 },
  granite: {
    model_type: 'granite',
    embedding_multiplier: 12,
    residual_multiplier: 0.22,
    attention_multiplier: 0.2,
    logits_scaling: 3,
  },
  minicpm: { model_type: 'minicpm', scale_emb: 12, scale_depth: 1.4, dim_model_base: 8 },
  olmo2: { model_type: 'olmo2' },
  olmo3: { model_type: 'olmo3', num_hidden_layers: 5, sliding_window: 5 },
  phi3: { model_type: 'phi3', sliding_window: null },
  'phi4-mini': {
    model_type: 'phi3',
    sliding_window: null,
    partial_rotary_factor: 0.75,
    tie_word_embeddings: true,
    max_position_embeddings: 512,
    original_max_position_embeddings: 256,
    rope_scaling: { type: 'longrope', short_factor: pairs(1, 0.05), long_factor: pairs(1.5, 2) },
  },
  'phi4-mini-long': {
    model_type: 'phi3',
    sliding_window: null,
    partial_rotary_factor: 0.75,
    tie_word_embeddings: true,
    max_position_embeddings: 512,
    original_max_position_embeddings: 32,
    rope_scaling: { type: 'longrope', short_factor: pairs(1, 0.05), long_factor: pairs(1.5, 2) },
  },
  gemma: { model_type: 'gemma', ...gemma, query_pre_attn_scalar: undefined },
  gemma2: { model_type: 'gemma2', ...gemma, sliding_window: 5, attn_logit_softcapping: 2, final_logit_softcapping: 5 },
  gemma3: {
    model_type: 'gemma3_text',
    ...gemma,
    sliding_window: 5,
    num_hidden_layers: 7,
    rope_theta: 1000000,
    rope_local_base_freq: 10000,
    rope_scaling: { rope_type: 'linear', factor: 8 },
  },
  exaone: {
    model_type: 'exaone',
    num_layers: 3,
    num_hidden_layers: undefined,
    layer_norm_epsilon: 1e-5,
    rms_norm_eps: undefined,
    activation_function: 'silu',
    rope_scaling: llama3,
    rope_theta: 1000000,
  },
  exaone4: { model_type: 'exaone4', rope_scaling: llama3, rope_theta: 1000000, sliding_window: null },
  mixtral: { model_type: 'mixtral', num_local_experts: 4, num_experts_per_tok: 2, sliding_window: null },
  qwen3moe: {
    model_type: 'qwen3_moe',
    head_dim: 16,
    num_experts: 6,
    num_experts_per_tok: 3,
    moe_intermediate_size: 32,
    norm_topk_prob: true,
  },
  llama4: {
    model_type: 'llama4_text',
    intermediate_size_mlp: 64,
    head_dim: 16,
    num_hidden_layers: 5,
    interleave_moe_layer_step: 2,
    num_local_experts: 4,
    num_experts_per_tok: 1,
    rope_scaling: llama3,
  },
  'llama4-two-experts': {
    model_type: 'llama4_text',
    intermediate_size_mlp: 48,
    num_local_experts: 5,
    num_experts_per_tok: 2,
    num_hidden_layers: 4,
    tie_word_embeddings: true,
    interleave_moe_layer_step: 1,
  },
  'llama4-unnormed': {
    model_type: 'llama4_text',
    hidden_size: 16,
    head_dim: 4,
    intermediate_size: 8,
    intermediate_size_mlp: 24,
    num_hidden_layers: 4,
    interleave_moe_layer_step: 2,
    num_local_experts: 128,
    num_experts_per_tok: 1,
    use_qk_norm: false,
  },
  olmoe: { model_type: 'olmoe', num_key_value_heads: 4, num_experts: 5, num_experts_per_tok: 2 },
};

/** Configurations that are made from another's. */
const changes = {
  'gpt-oss': (config) => ({
    ...config,
    family: 'gpt-oss',
    attentionSinks: true,
    swigluLimit: 7,
    attentionBias: true,
    attentionOutputBias: true,
    experts: { ...config.experts, bias: true },
    slidingWindow: 5,
    slidingBlocks: [true, false, true],
    ropeScaling: {
      kind: 'yarn',
      factor: 4,
      originalContextLength: 32,
      betaFast: 32,
      betaSlow: 1,
      wholePairs: true,
      attentionFactor: null,
    },
  }),
};
cases['gpt-oss'] = cases.mixtral;

const [peer, ...chosen] = process.argv.slice(2);
for (const [name, given] of Object.entries(cases)) {
  if (chosen.length > 0 && !chosen.includes(name)) continue;
  const json = Object.fromEntries(Object.entries({ ...sizes, ...given }).filter(([, value]) => value !== undefined));
  const config = (changes[name] ?? ((same) => same))(readHfConfig('config.json', json).config);
  const folder = new URL(`../test/golden/relatives/${name}/`, import.meta.url).pathname;
  mkdirSync(folder, { recursive: true });
  const sink = new MemorySink();
  const checkpoint = { name: 'tiny', config, tensors: randomTensors(config), chatTemplate: null };
  const types = {
    typeOf: () => 'f32',
    encode: encodeRow,
    fileType: ggufFileTypes.f32,
    tokenizer: ggufTokenizerFields(byteVocabulary(config.vocabSize), config.vocabSize),
  };
  writeGgufCheckpoint(sink, checkpoint, types);
  writeFileSync(join(folder, 'model.gguf'), sink.bytes());
  const peerFile = new URL('golden-relatives-peer.mjs', import.meta.url).pathname;
  const arguments_ = [peerFile, join(folder, 'model.gguf'), IDS.join(','), String(GREEDY)];
  const found = JSON.parse(
    execFileSync(process.execPath, arguments_, { cwd: peer, maxBuffer: 1 << 28 }).toString('utf8'),
  );
  const expected = {
    case: `relatives/${name}`,
    made_by: `npx node scripts/golden-relatives.js FOLDER ${name}, with llama.cpp of node-llama-cpp ${found.version}`,
    seed: SEED,
    config: name in changes ? config : json,
    ids: IDS,
    context: found.context,
    logits_f32_base64: Buffer.from(Float32Array.from(found.logits.flat()).buffer).toString('base64'),
    greedy: found.greedy,
  };
  const text = JSON.stringify(expected, null, 1).replace(/\n\s+(?=[-\d\]])/g, ' ');
  writeFileSync(join(folder, 'expected.json'), `${text}\n`);
  console.log(name, readFileSync(join(folder, 'model.gguf')).length, text.length);
}

/** Weights large enough that every part of the model shows in the logits. */
function randomTensors(config) {
  const random = new Random(SEED);
  return new Map(
    listParameters(config).map((parameter) => {
      const { name, shape } = parameter;
      const columns = shape.at(-1);
      const isVector = shape.length === 1;
      const gain = isVector && isGain(parameter);
      const count = shape.reduce((a, b) => a * b, 1);
      const draw = () => (gain ? 1 + 0.2 * random.normal() : (isVector ? 0.3 : 0.25) * random.normal());
      const floats = Float32Array.from({ length: count }, draw);
      const bytes = new Uint8Array(floats.buffer);
      const readRows = (target, first, rows) =>
        target.set(bytes.subarray(first * columns * 4, (first + rows) * columns * 4));
      return [name, { name, dtype: 'f32', shape, readRows }];
    }),
  );
}
