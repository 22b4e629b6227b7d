import { deepStrictEqual, ok, strictEqual, throws } from 'node:assert/strict';
import { test } from 'node:test';
import { ConfigError } from '../../base/errors.ts';
import { readHfConfig } from '../../model/spelling/hf.ts';
import type { Json } from '../json.ts';
import { mayChangeMathematics, withoutKeys } from './unknown-keys.ts';

const llama = {
  model_type: 'llama',
  hidden_size: 256,
  intermediate_size: 704,
  num_hidden_layers: 6,
  num_attention_heads: 4,
  num_key_value_heads: 2,
  vocab_size: 4096,
};

/** Keys of published config.json files that change nothing of what is computed. */
const harmless: Record<string, Json> = {
  _sliding_window_pattern: null,
  sliding_window_pattern: null,
  sliding_window: 0,
  use_mrope: false,
  is_llama_config: true,
  rope_interleaved: false,
  max_sequence_length: 2048,
  max_seq_len: 4096,
  seq_length: 2048,
  model_max_length: 4096,
  n_positions: 2048,
  context_window: 4096,
  layer_types: Array(6).fill('full_attention'),
  num_local_experts: 1,
  num_experts_per_tok: 1,
  temperature: 0.7,
  top_p: 0.9,
  top_k: 50,
  do_sample: true,
  max_length: 20,
  min_length: 0,
  repetition_penalty: 1.1,
  no_repeat_ngram_size: 0,
  encoder_no_repeat_ngram_size: 0,
  length_penalty: 1,
  diversity_penalty: 0,
  num_beam_groups: 1,
  num_return_sequences: 1,
  early_stopping: false,
  typical_p: 1,
  suppress_tokens: null,
  begin_suppress_tokens: null,
  forced_bos_token_id: null,
  forced_eos_token_id: null,
  decoder_start_token_id: null,
  cross_attention_hidden_size: null,
  remove_invalid_values: false,
  return_dict_in_generate: false,
  output_scores: false,
  tf_legacy_loss: false,
  exponential_decay_length_penalty: null,
  pruned_heads: {},
  mlp_bias: false,
  attention_bias: false,
  attention_dropout: 0,
  attention_probs_dropout_prob: 0.1,
  hidden_dropout_prob: 0.1,
  classifier_dropout: 0.1,
  gradient_checkpointing: true,
  router_aux_loss_coef: 0.001,
  use_flash_attention_2: true,
  _flash_attn_2_enabled: true,
  attn_implementation: 'sdpa',
  fused_rms_norm: true,
  attention_softmax_in_fp32: true,
  cache_implementation: 'hybrid',
  mlp_dropout: 0.1,
  rope_scaling: null,
  rope_theta: 10000,
  use_qkv_bias: false,
  qkv_bias: false,
  use_bias: false,
  norm_type: 'rmsnorm',
  position_embedding_type: 'rope',
  head_size: 64,
  n_heads: 4,
  n_kv_heads: 2,
  quantization_config: {},
  unsloth_version: '2025.1',
  unsloth_fixed: true,
  eos_token: '</s>',
  image_token_index: 32000,
  neftune_noise_alpha: 5,
  prompt_format: 'chatml',
  trust_remote_code: true,
  transformers_weights: 'x.safetensors',
  datasets: ['a/b'],
  base_model: 'meta-llama/Llama-2-7b',
  partial_rotary_factor: 1,
  rotary_pct: 1,
  logits_scaling: 1,
  residual_multiplier: 1,
  expansion_groups: 1,
};

/** Keys that change what is computed, or may. */
const refused: Record<string, Json> = {
  use_mrope: true,
  rope_interleaved: true,
  layer_types: [...Array(5).fill('full_attention'), 'sliding_attention'],
  num_local_experts: 8,
  moe_intermediate_size: 512,
  attn_logit_softcapping: 50,
  final_logit_softcapping: 30,
  query_pre_attn_scalar: 256,
  qk_norm: true,
  use_qk_layernorm: true,
  attention_multiplier: 0.01,
  embedding_multiplier: 12,
  logits_scaling: 8,
  residual_multiplier: 0.22,
  no_rope_layers: [1, 1, 1, 0, 1, 1],
  partial_rotary_factor: 0.5,
  rope_scaling: { rope_type: 'default', mystery: 3 },
  sliding_window_pattern: 6,
  rope_local_base_freq: 10000,
  use_bias: true,
  attention_sinks: true,
  norm_type: 'layernorm',
  position_embedding_type: 'alibi',
  head_size: 32,
  quantization_config: { quant_method: 'gptq' },
  custom_block: { attention: 'linear' },
  mixer: 'mamba',
  n_shared_experts: 2,
  hidden_act: 'gelu',
  logit_scale: 0.0625,
};

test('config.json: keys that cannot change what is computed never refuse a file, and those unknown are noted', () => {
  for (const [key, value] of Object.entries(harmless)) readHfConfig('config.json', { ...llama, [key]: value });
  const read = readHfConfig('config.json', {
    ...llama,
    is_llama_config: true,
    temperature: 0.7,
    attention_bias: false,
  });
  deepStrictEqual(read.unusedKeys, ['is_llama_config', 'temperature']);
});

test('config.json: keys that may change what is computed refuse the file by name, with how to go on', () => {
  for (const [key, value] of Object.entries(refused)) {
    throws(
      () => readHfConfig('config.json', { ...llama, [key]: value }),
      (error) => error instanceof ConfigError && error.message.includes(key),
      key,
    );
  }
  throws(
    () => readHfConfig('config.json', { ...llama, attn_tricks: 3 }),
    /attn_tricks is 3, .*Where you know that it does not: --ignore-key attn_tricks \(in a program: ignoreKeys\)/,
  );
});

test('--ignore-key: a file is read as if the key were not there; a key that is not there is named', () => {
  const json = { ...llama, attn_tricks: 3, rope_scaling: { rope_type: 'default', mystery: 3 } };
  const kept = withoutKeys('config.json', json, ['attn_tricks', 'rope_scaling.mystery']);
  strictEqual(readHfConfig('config.json', kept).config.ropeScaling.kind, 'none');
  throws(
    () => withoutKeys('config.json', json, ['attn_trick']),
    /--ignore-key attn_trick .* names a key that is not there/,
  );
});

test('a value that says nothing changes nothing, whatever the name of its key', () => {
  for (const value of [null, false, 0, '', [], {}, [null, 0], { a: { b: false } }, Float32Array.of(0, 0)]) {
    ok(!mayChangeMathematics('attention_everything', value));
  }
  ok(mayChangeMathematics('attention_everything', [0, 1]));
  ok(!mayChangeMathematics('note', 'a sentence about attention'), 'a sentence is no name');
  ok(mayChangeMathematics('mixer', 'linear_attention'));
});
