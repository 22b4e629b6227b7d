/** config.json as it is published with models that people download: each is read, and has the published number of parameters. */
import { deepStrictEqual, strictEqual } from 'node:assert/strict';
import { test } from 'node:test';
import type { Json } from '../../formats/json.ts';
import { configProblems, type LlamaConfig } from '../config.ts';
import { parameterCount } from '../parameters.ts';
import { ggufKeysOf } from '../spelling/gguf.ts';
import { hfConfigOf, readHfConfig } from '../spelling/hf.ts';

interface Published {
  readonly json: Readonly<Record<string, Json>>;
  readonly parameters: number;
  readonly family: string;
  readonly facts?: Partial<LlamaConfig>;
}

const usual = { architectures: ['X'], torch_dtype: 'bfloat16', transformers_version: '4.51.0', use_cache: true };
const factors = (count: number) => Array.from({ length: count }, (_, i) => 1 + i / 8);

const models: Readonly<Record<string, Published>> = {
  'Qwen3-0.6B': {
    json: {
      ...usual, model_type: 'qwen3', attention_bias: false, attention_dropout: 0, bos_token_id: 151643, eos_token_id: 151645,
      head_dim: 128, hidden_act: 'silu', hidden_size: 1024, initializer_range: 0.02, intermediate_size: 3072,
      max_position_embeddings: 40960, max_window_layers: 28, num_attention_heads: 16, num_hidden_layers: 28,
      num_key_value_heads: 8, rms_norm_eps: 1e-6, rope_scaling: null, rope_theta: 1000000, sliding_window: null,
      tie_word_embeddings: true, use_sliding_window: false, vocab_size: 151936,
    },
    parameters: 596_049_920,
    family: 'qwen3',
    facts: { qkNorm: 'head', slidingWindow: null },
  },
  'Qwen3-30B-A3B': {
    json: {
      ...usual, model_type: 'qwen3_moe', attention_bias: false, decoder_sparse_step: 1, head_dim: 128, hidden_act: 'silu',
      hidden_size: 2048, intermediate_size: 6144, max_position_embeddings: 40960, max_window_layers: 48, mlp_only_layers: [],
      moe_intermediate_size: 768, norm_topk_prob: true, num_attention_heads: 32, num_experts: 128, num_experts_per_tok: 8,
      num_hidden_layers: 48, num_key_value_heads: 4, output_router_logits: false, rms_norm_eps: 1e-6, rope_scaling: null,
      rope_theta: 1000000, router_aux_loss_coef: 0.001, sliding_window: null, tie_word_embeddings: false,
      use_sliding_window: false, vocab_size: 151936,
    },
    parameters: 30_532_122_624,
    family: 'qwen3moe',
  },
  'SmolLM3-3B': {
    json: {
      ...usual, model_type: 'smollm3', attention_bias: false, hidden_act: 'silu', hidden_size: 2048, intermediate_size: 11008,
      layer_types: Array<string>(36).fill('full_attention'), max_position_embeddings: 65536, max_window_layers: 28,
      mlp_bias: false, no_rope_layer_interval: 4,
      no_rope_layers: Array.from({ length: 36 }, (_, i) => ((i + 1) % 4 === 0 ? 0 : 1)),
      num_attention_heads: 16, num_hidden_layers: 36, num_key_value_heads: 4, pad_token_id: 128004, pretraining_tp: 2,
      rms_norm_eps: 1e-6, rope_scaling: null, rope_theta: 5000000, sliding_window: null, use_sliding_window: false,
      vocab_size: 128256,
    },
    parameters: 3_075_098_624,
    family: 'smollm3',
  },
  'gemma-3-1b': {
    json: {
      ...usual, model_type: 'gemma3_text', attention_bias: false, attn_logit_softcapping: null, cache_implementation: 'hybrid',
      eos_token_id: [1, 106], final_logit_softcapping: null, head_dim: 256, hidden_activation: 'gelu_pytorch_tanh',
      hidden_size: 1152, intermediate_size: 6912, max_position_embeddings: 32768, num_attention_heads: 4,
      num_hidden_layers: 26, num_key_value_heads: 1, query_pre_attn_scalar: 256, rms_norm_eps: 1e-6,
      rope_local_base_freq: 10000, rope_scaling: null, rope_theta: 1000000, sliding_window: 512, sliding_window_pattern: 6,
      vocab_size: 262144,
    },
    parameters: 999_885_952,
    family: 'gemma3',
    facts: { slidingWindow: 512, slidingTheta: 10000, tiedEmbeddings: true, attentionScale: null },
  },
  'gemma-3-4b, text': {
    json: {
      ...usual, model_type: 'gemma3', boi_token_index: 255999, eoi_token_index: 256000, image_token_index: 262144,
      mm_tokens_per_image: 256, eos_token_id: [1, 106],
      text_config: {
        hidden_size: 2560, intermediate_size: 10240, model_type: 'gemma3_text', num_hidden_layers: 34,
        rope_scaling: { factor: 8, rope_type: 'linear' }, sliding_window: 1024,
      },
      vision_config: { hidden_size: 1152, model_type: 'siglip_vision_model', num_hidden_layers: 27 },
    },
    parameters: 3_880_263_168,
    family: 'gemma3',
    facts: { headCount: 8, kvHeadCount: 4, headSize: 256 },
  },
  'gemma-2-2b': {
    json: {
      ...usual, model_type: 'gemma2', attention_bias: false, attn_logit_softcapping: 50, cache_implementation: 'hybrid',
      final_logit_softcapping: 30, head_dim: 256, hidden_act: 'gelu_pytorch_tanh', hidden_activation: 'gelu_pytorch_tanh',
      hidden_size: 2304, intermediate_size: 9216, max_position_embeddings: 8192, num_attention_heads: 8,
      num_hidden_layers: 26, num_key_value_heads: 4, query_pre_attn_scalar: 256, rms_norm_eps: 1e-6, rope_theta: 10000,
      sliding_window: 4096, vocab_size: 256000,
    },
    parameters: 2_614_341_888,
    family: 'gemma2',
    facts: { attentionCap: 50, logitCap: 30, embeddingScale: 48 },
  },
  'Phi-4-mini': {
    json: {
      ...usual, model_type: 'phi3', attention_bias: false, embd_pdrop: 0, full_attn_mod: 1, hidden_act: 'silu',
      hidden_size: 3072, intermediate_size: 8192, interpolate_factor: 1, lm_head_bias: false, max_position_embeddings: 131072,
      mlp_bias: false, num_attention_heads: 24, num_hidden_layers: 32, num_key_value_heads: 8,
      original_max_position_embeddings: 4096, pad_token_id: 199999, partial_rotary_factor: 0.75, resid_pdrop: 0,
      rms_norm_eps: 1e-5, rope_scaling: { long_factor: factors(48), short_factor: factors(48), type: 'longrope' },
      rope_theta: 10000, sliding_window: 262144, tie_word_embeddings: true, vocab_size: 200064,
    },
    parameters: 3_836_021_760,
    family: 'phi3',
    facts: { rotatedSize: 96 },
  },
  'granite-3.3-2b': {
    json: {
      ...usual, model_type: 'granite', attention_bias: false, attention_multiplier: 0.015625, embedding_multiplier: 12,
      hidden_act: 'silu', hidden_size: 2048, intermediate_size: 8192, logits_scaling: 8, max_position_embeddings: 131072,
      mlp_bias: false, num_attention_heads: 32, num_hidden_layers: 40, num_key_value_heads: 8, residual_multiplier: 0.22,
      rms_norm_eps: 1e-5, rope_scaling: null, rope_theta: 10000000, tie_word_embeddings: true, vocab_size: 49159,
    },
    parameters: 2_533_539_840,
    family: 'granite',
    facts: { attentionScale: 0.015625, logitDivisor: 8 },
  },
  'OLMo-2-1B': {
    json: {
      ...usual, model_type: 'olmo2', attention_bias: false, hidden_act: 'silu', hidden_size: 2048, intermediate_size: 8192,
      max_position_embeddings: 4096, num_attention_heads: 16, num_hidden_layers: 16, num_key_value_heads: 16,
      rms_norm_eps: 1e-6, rope_scaling: null, rope_theta: 500000, tie_word_embeddings: false, vocab_size: 100352,
    },
    parameters: 1_484_916_736,
    family: 'olmo2',
  },
  'EXAONE-3.5-2.4B': {
    json: {
      ...usual, model_type: 'exaone', activation_function: 'silu', embed_dropout: 0, head_dim: 80, hidden_size: 2560,
      intermediate_size: 7168, layer_norm_epsilon: 1e-5, max_position_embeddings: 32768, num_attention_heads: 32,
      num_key_value_heads: 8, num_layers: 30,
      rope_scaling: {
        factor: 8, high_freq_factor: 4, low_freq_factor: 1, original_max_position_embeddings: 8192, rope_type: 'llama3',
      },
      rope_theta: 1000000, tie_word_embeddings: true, vocab_size: 102400,
    },
    parameters: 2_405_327_360,
    family: 'exaone',
  },
  'EXAONE-4.0-1.2B': {
    json: {
      ...usual, model_type: 'exaone4', head_dim: 64, hidden_act: 'silu', hidden_size: 2048, intermediate_size: 4096,
      layer_types: Array<string>(30).fill('full_attention'), max_position_embeddings: 65536, num_attention_heads: 32,
      num_hidden_layers: 30, num_key_value_heads: 8, rms_norm_eps: 1e-5,
      rope_scaling: {
        factor: 16, high_freq_factor: 4, low_freq_factor: 1, original_max_position_embeddings: 8192, rope_type: 'llama3',
      },
      rope_theta: 1000000, sliding_window: null, sliding_window_pattern: null, tie_word_embeddings: true, vocab_size: 102400,
    },
    parameters: 1_279_391_488,
    family: 'exaone4',
    facts: { rotatedBlocks: null, slidingWindow: null },
  },
  'Mixtral-8x7B': {
    json: {
      ...usual, model_type: 'mixtral', hidden_act: 'silu', hidden_size: 4096, intermediate_size: 14336,
      max_position_embeddings: 32768, num_attention_heads: 32, num_experts_per_tok: 2, num_hidden_layers: 32,
      num_key_value_heads: 8, num_local_experts: 8, output_router_logits: false, rms_norm_eps: 1e-5, rope_theta: 1000000,
      router_aux_loss_coef: 0.02, sliding_window: null, tie_word_embeddings: false, vocab_size: 32000,
    },
    parameters: 46_702_792_704,
    family: 'mixtral',
  },
  'gpt-oss-20b': {
    json: {
      ...usual, model_type: 'gpt_oss', attention_bias: true, attention_dropout: 0, eos_token_id: 200002, experts_per_token: 4,
      head_dim: 64, hidden_act: 'silu', hidden_size: 2880, initial_context_length: 4096, initializer_range: 0.02,
      intermediate_size: 2880, layer_types: Array.from({ length: 24 }, (_, i) => `${i % 2 ? 'full' : 'sliding'}_attention`),
      max_position_embeddings: 131072, num_attention_heads: 64, num_experts_per_tok: 4, num_hidden_layers: 24,
      num_key_value_heads: 8, num_local_experts: 32, output_router_logits: false, pad_token_id: 199999,
      quantization_config: { modules_to_not_convert: ['lm_head'], quant_method: 'mxfp4' }, rms_norm_eps: 1e-5,
      rope_scaling: {
        beta_fast: 32, beta_slow: 1, factor: 32, original_max_position_embeddings: 4096, rope_type: 'yarn', truncate: false,
      },
      rope_theta: 150000, router_aux_loss_coef: 0.9, sliding_window: 128, swiglu_limit: 7, tie_word_embeddings: false,
      vocab_size: 201088,
    },
    parameters: 20_914_757_184,
    family: 'gpt-oss',
    facts: { slidingBlocks: Array.from({ length: 24 }, (_, i) => i % 2 === 0), attentionSinks: true },
  },
  'Llama-4-Scout, text': {
    json: {
      ...usual, model_type: 'llama4', boi_token_index: 200080, eoi_token_index: 200081, image_token_index: 200092,
      tie_word_embeddings: false,
      text_config: {
        _attn_implementation_autoset: true, attention_bias: false, attention_chunk_size: 8192, attention_dropout: 0,
        bos_token_id: 200000, eos_token_id: [200001, 200007, 200008], for_llm_compressor: false, head_dim: 128,
        hidden_act: 'silu', hidden_size: 5120, initializer_range: 0.02, interleave_moe_layer_step: 1, intermediate_size: 8192,
        intermediate_size_mlp: 16384, max_position_embeddings: 10485760, model_type: 'llama4_text', no_rope_layers: [],
        num_attention_heads: 40, num_experts_per_tok: 1, num_hidden_layers: 48, num_key_value_heads: 8,
        num_local_experts: 16, output_router_logits: false, pad_token_id: 200018, rms_norm_eps: 1e-5,
        rope_scaling: {
          factor: 16, high_freq_factor: 1, low_freq_factor: 1, original_max_position_embeddings: 8192, rope_type: 'llama3',
        },
        rope_theta: 500000, router_aux_loss_coef: 0.001, router_jitter_noise: 0, use_cache: true, use_qk_norm: true,
        vocab_size: 202048,
      },
      vision_config: { hidden_size: 1408, model_type: 'llama4_vision_model', num_hidden_layers: 34 },
    },
    parameters: 107_769_861_120,
    family: 'llama4',
    facts: { slidingWindow: 8192, windowKind: 'chunks', queryGrowth: { interval: 8192, offset: 1, slope: 0.1, blocks: 'unrotated' }, qkNorm: 'unit' },
  },
}; // biome-ignore format: published files

for (const [name, { json, parameters, family, facts = {} }] of Object.entries(models)) {
  test(`${name}: ${parameters} parameters, and both formats say what it is`, () => {
    const { config } = readHfConfig('config.json', json);
    deepStrictEqual(configProblems(config), []);
    strictEqual(config.family, family);
    for (const [key, value] of Object.entries(facts)) deepStrictEqual(config[key as keyof LlamaConfig], value, key);
    strictEqual(parameterCount(config), parameters);
    deepStrictEqual(readHfConfig('config.json', hfConfigOf(config).json as Record<string, Json>).config, config);
    strictEqual(ggufKeysOf(config).relative.name, family);
  });
}
