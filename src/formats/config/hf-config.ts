/**
 * Hugging Face's config.json of the models llama, mistral and qwen2, and of our own cria_lab, in the spelling of transformers 4 (rope_theta,
 * rope_scaling) and of transformers 5 (rope_parameters), as plain facts. What this reader does not know it refuses.
 *
 * Source  transformers, configuration_{llama,mistral,qwen2}.py and modeling_rope_utils.py: the defaults are theirs.
 */

import { isObject, type Json, type JsonObject, parseJsonObject, show } from '../json.ts';
import { Facts } from './facts.ts';
import { type RopeFacts, readRopeScaling } from './rope-scaling.ts';
import { acceptSameFacts } from './same-facts.ts';
import { saysNothing } from './unknown-keys.ts';

export type HfModelType = 'llama' | 'mistral' | 'qwen2' | 'cria_lab';

/** What a model of type cria_lab, which only Cria writes, may choose under the key `lab`. */
export const labChoices = {
  norm: ['rms', 'layer', 'batch'],
  normPlacement: ['before', 'after'],
  activation: ['swiglu', 'geglu', 'relu', 'gelu'],
  positions: ['rope', 'learned', 'sinusoidal', 'none'],
} as const;
type LabChoices = { readonly [key in keyof typeof labChoices]: (typeof labChoices)[key][number] };

export interface HfConfig extends RopeFacts {
  readonly modelType: HfModelType;
  readonly width: number;
  readonly blockCount: number;
  readonly headCount: number;
  readonly kvHeadCount: number;
  readonly headSize: number;
  readonly ffnWidth: number;
  readonly vocabSize: number;
  readonly contextLength: number;
  readonly normEps: number;
  readonly tiedEmbeddings: boolean;
  readonly attentionBias: boolean;
  readonly slidingWindow: number | null;
  readonly bosId: number | null;
  readonly eosIds: readonly number[];
  /** null where the model makes the papers' choices. */
  readonly lab: LabChoices | null;
  /** Keys that nobody knows and that change nothing (unknown-keys.ts). */
  readonly unusedKeys: readonly string[];
}

/** Defaults that differ by model where config.json leaves a key out. */
const defaults = {
  llama: { kvHeadCount: null, contextLength: 2048, normEps: 1e-6, slidingWindow: null },
  mistral: { kvHeadCount: 8, contextLength: 131_072, normEps: 1e-6, slidingWindow: 4096 },
  cria_lab: { kvHeadCount: null, contextLength: 2048, normEps: 1e-6, slidingWindow: null },
  qwen2: { kvHeadCount: 32, contextLength: 32_768, normEps: 1e-6, slidingWindow: 4096 },
} as const;

/** Keys that say where the file comes from, how it was trained, or how it is served; none changes what is computed. */
// biome-ignore format: a list
const harmless = [
  '_name_or_path', '_from_model_config', '_commit_hash', '_attn_implementation', '_attn_implementation_autoset', 'architectures',
  'attention_dropout', 'attn_implementation', 'auto_map', 'bad_words_ids', 'chunk_size_feed_forward', 'custom_pipelines',
  'dtype', 'finetuning_task', 'hidden_dropout', 'id2label', 'initializer_range', 'initializer_factor', 'is_decoder',
  'keys_to_ignore_at_inference', 'label2id', 'max_window_layers', 'name_or_path', 'num_beams', 'num_labels',
  'output_attentions', 'output_hidden_states', 'output_router_logits', 'pad_token_id', 'prefix', 'pretraining_tp',
  'problem_type', 'resid_pdrop', 'embd_pdrop', 'attn_pdrop', 'return_dict', 'sep_token_id', 'task_specific_params',
  'tokenizer_class', 'torch_dtype', 'torchscript', 'transformers_version', 'transformers.js_config', 'unk_token_id',
  'unsloth_version', 'unsloth_fixed', 'use_bfloat16', 'use_cache', 'use_flash_attn', '_flash_attn_2_enabled',
] as const;

/** Throws ConfigError listing every problem, or FormatError when the text is no JSON object. */
export function parseHfConfig(file: string, text: string): HfConfig {
  return readHfConfig(file, parseJsonObject(file, text));
}

export function readHfConfig(file: string, json: JsonObject): HfConfig {
  const facts = new Facts(file, json);
  const modelType = readModelType(facts);
  const standard = defaults[modelType];
  facts.ignore(harmless);
  refuseOtherMathematics(facts, modelType);

  const width = facts.count('hidden_size');
  const blockCount = facts.count('num_hidden_layers');
  const headCount = facts.count('num_attention_heads');
  const kvHeadCount = facts.count('num_key_value_heads', standard.kvHeadCount ?? headCount);
  const ffnWidth = facts.count('intermediate_size');
  const vocabSize = facts.count('vocab_size');
  const contextLength = facts.count('max_position_embeddings', standard.contextLength);
  const normEps = facts.number('rms_norm_eps', standard.normEps);
  const tiedEmbeddings = facts.flag('tie_word_embeddings', false);
  const headSize = readHeadSize(facts, width, headCount);
  acceptSameFacts(facts, { width, headCount, kvHeadCount, headSize });
  const attentionBias = modelType === 'qwen2';
  const slidingWindow = readSlidingWindow(facts, modelType, blockCount);
  const rope = readRope(facts, contextLength);
  const bosId = readIds(facts, 'bos_token_id')[0] ?? null;
  const eosIds = readIds(facts, 'eos_token_id');
  const lab = modelType === 'cria_lab' ? readLab(facts) : null;
  facts.finish();
  // biome-ignore format: names in the interface's order
  return {
    modelType, width, blockCount, headCount, kvHeadCount, headSize, ffnWidth, vocabSize, contextLength, normEps, tiedEmbeddings,
    attentionBias, slidingWindow, bosId, eosIds, lab, ...rope, unusedKeys: facts.unused,
  };
}

function readModelType(facts: Facts): HfModelType {
  const type = facts.take('model_type');
  if (type === 'llama' || type === 'mistral' || type === 'qwen2' || type === 'cria_lab') return type;
  facts.problem('model_type', `is ${show(type)}, expected "llama", "mistral" or "qwen2"`);
  return 'llama';
}

function readLab(facts: Facts): LabChoices {
  const given = facts.take('lab');
  if (!isObject(given)) facts.problem('lab', `is ${show(given)}, expected an object`);
  const inner = new Facts(facts.where, isObject(given) ? given : {}, 'lab.');
  const choose = (key: keyof typeof labChoices) => {
    const value = inner.take(key);
    const values: readonly string[] = labChoices[key];
    if (typeof value === 'string' && values.includes(value)) return value;
    inner.problem(key, `is ${show(value)}, expected one of ${values.join(', ')}`);
    return values[0]!;
  };
  const keys = Object.keys(labChoices) as (keyof typeof labChoices)[];
  const choices = Object.fromEntries(keys.map((key) => [key, choose(key)])) as LabChoices;
  facts.include(inner);
  return choices;
}

/** Keys that relatives of LLaMA use; accepted only with the value at which they change nothing. */
function refuseOtherMathematics(facts: Facts, modelType: HfModelType): void {
  facts.only('hidden_act', ['silu', 'swish'], 'the feed-forward layer is SwiGLU');
  facts.only(
    'attention_bias',
    [modelType === 'qwen2'],
    'LLaMA has no biases, and Qwen 2 has them on query, key and value only',
  );
  facts.only('mlp_bias', [false], 'the feed-forward layer has no biases');
  facts.only('partial_rotary_factor', [1], 'rotary positions turn whole heads');
  facts.only('rotary_pct', [1], 'rotary positions turn whole heads');
  for (const key of ['attention_multiplier', 'embedding_multiplier', 'residual_multiplier', 'logits_scaling']) {
    facts.only(key, key === 'attention_multiplier' ? [] : [1], 'this scaling is not part of LLaMA');
  }
  facts.only('qk_norm', [false], 'queries and keys are not normalised');
  facts.only('use_qk_norm', [false], 'queries and keys are not normalised');
  facts.only('is_encoder_decoder', [false], 'LLaMA is a decoder');
  facts.only('add_cross_attention', [false], 'LLaMA is a decoder');
  for (const key of [
    'num_local_experts',
    'num_experts',
    'num_experts_per_tok',
    'n_routed_experts',
    'n_shared_experts',
  ]) {
    facts.only(key, [0, 1], 'there is one feed-forward layer per block');
  }
  facts.only('pruned_heads', [{}], 'every head is there');
  facts.only('tie_encoder_decoder', [false], 'LLaMA is a decoder');
  if (!saysNothing(facts.peek('quantization_config'))) {
    facts.problem(
      'quantization_config',
      'is set: its packed weights are not read; use the original weights, or a GGUF file',
    );
  }
  facts.take('quantization_config');
}

function readHeadSize(facts: Facts, width: number, headCount: number): number {
  const headSize = facts.countOrNull('head_dim');
  if (headSize !== null) return headSize;
  if (width % headCount !== 0) {
    facts.problem(
      'hidden_size',
      `is ${width}, not a multiple of num_attention_heads ${headCount}, and head_dim is not given`,
    );
    return 2;
  }
  return width / headCount;
}

function readSlidingWindow(facts: Facts, modelType: HfModelType, blockCount: number): number | null {
  const used = facts.flag('use_sliding_window', modelType === 'mistral');
  const given = facts.given('sliding_window') ? facts.take('sliding_window') : defaults[modelType].slidingWindow;
  let window: number | null = null;
  if (typeof given === 'number' && Number.isSafeInteger(given) && given >= 1) window = given;
  else if (given !== null && given !== 0)
    facts.problem('sliding_window', `is ${show(given)}, expected a whole number from 1 or null`);
  const sliding = used && window !== null;

  const types = facts.take('layer_types');
  const expected = sliding ? 'sliding_attention' : 'full_attention';
  if (
    types !== null &&
    !(Array.isArray(types) && types.length === blockCount && types.every((type) => type === expected))
  ) {
    facts.problem(
      'layer_types',
      `is ${show(types)}, expected ${blockCount} times ${show(expected)}: all blocks attend alike`,
    );
  }
  if (sliding && modelType === 'qwen2') {
    facts.problem(
      'use_sliding_window',
      'is true: windows from some block on (max_window_layers) are not implemented for Qwen 2',
    );
  }
  if (sliding && modelType === 'llama')
    facts.problem('use_sliding_window', 'is true, but LLaMA attends to all earlier positions');
  return sliding ? window : null;
}

/** rope_theta and rope_scaling (transformers 4), or both inside rope_parameters (5). */
function readRope(facts: Facts, contextLength: number): RopeFacts {
  const parameters = facts.take('rope_parameters');
  const scaling = facts.take('rope_scaling');
  for (const [key, value] of [
    ['rope_parameters', parameters],
    ['rope_scaling', scaling],
  ] as const) {
    if (value !== null && !isObject(value)) facts.problem(key, `is ${show(value)}, expected an object or null`);
  }
  const outerTheta = facts.numberOrNull('rope_theta');
  if (isObject(parameters) && isObject(scaling)) {
    facts.problem('rope_scaling', 'is given besides rope_parameters; expected one of the two');
  }
  const key = isObject(parameters) ? 'rope_parameters' : 'rope_scaling';
  const values = isObject(parameters) ? parameters : isObject(scaling) ? scaling : {};
  const inner = new Facts(facts.where, values, `${key}.`);
  const rope = readRopeScaling(
    inner,
    outerTheta,
    facts.countOrNull('original_max_position_embeddings') ?? contextLength,
  );
  facts.include(inner);
  return rope;
}

/** A token id, a list of them, or nothing. */
function readIds(facts: Facts, key: string): readonly number[] {
  const value = facts.take(key);
  const ids = value === null ? [] : Array.isArray(value) ? value : [value];
  if (ids.every((id) => Number.isSafeInteger(id) && (id as number) >= 0)) return ids as number[];
  facts.problem(key, `is ${show(value)}, expected a token id or a list of them`);
  return [];
}

export interface HfGeneration {
  readonly bosId: number | null;
  readonly eosIds: readonly number[];
  /** Sampling defaults that the model's makers suggest, as they spell them (temperature, top_p, …). */
  readonly suggestions: ReadonlyMap<string, Json>;
}

/** generation_config.json: ids, and suggestions that nobody is bound by. */
export function parseGenerationConfig(file: string, text: string): HfGeneration {
  const json = parseJsonObject(file, text);
  const facts = new Facts(file, json);
  const bosId = readIds(facts, 'bos_token_id')[0] ?? null;
  const eosIds = readIds(facts, 'eos_token_id');
  const suggestions = new Map(Object.entries(json).filter(([key]) => key !== 'bos_token_id' && key !== 'eos_token_id'));
  facts.ignore(Object.keys(json));
  facts.finish();
  return { bosId, eosIds, suggestions };
}
