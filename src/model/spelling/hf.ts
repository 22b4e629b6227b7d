/**
 * Hugging Face's config.json, in the spelling of transformers 4 (rope_theta, rope_scaling) and 5 (rope_parameters): read and written by
 * the facts of its relative. Keys that no fact knows are sorted by the rule of formats/config/unknown-keys.ts.
 */
import { ConfigError } from '../../base/errors.ts';
import { Facts } from '../../formats/config/facts.ts';
import { readIds } from '../../formats/config/generation-config.ts';
import { type HfQuantization, readHfQuantization } from '../../formats/config/quantization.ts';
import { acceptSameFacts } from '../../formats/config/same-facts.ts';
import { isObject, type Json, type JsonObject, parseJsonObject, show } from '../../formats/json.ts';
import { type LlamaConfig, labChoices, paperChoices } from '../config.ts';
import { relatives } from '../relatives/relatives.ts';
import { differences, factsOf, fillFacts } from './family.ts';
import type { HfSpelling, Relative } from './relative.ts';

export interface HfConfig {
  readonly relative: Relative;
  readonly config: LlamaConfig;
  /** How the weights are packed; null: they are not. */
  readonly quantization: HfQuantization | null;
  readonly bosId: number | null;
  readonly eosIds: readonly number[];
  /** Keys that nobody knows and that change nothing. */
  readonly unusedKeys: readonly string[];
}

/** Throws ConfigError listing every problem, or FormatError when the text is no JSON object. */
export function parseHfConfig(file: string, text: string): HfConfig {
  return readHfConfig(file, parseJsonObject(file, text));
}

export function readHfConfig(file: string, json: JsonObject): HfConfig {
  const type = json.model_type ?? null;
  const alike = relatives.filter(({ hf }) => hf?.modelType === type);
  const relative = alike.find(({ hf }) => hf!.textType === innerType(json, hf!)) ?? alike[0];
  if (type === LAB) return readKeys(new Facts(file, json), llama(), true);
  if (relative === undefined) throw new ConfigError(file, [unknownType(type)]);
  return readKeys(new Facts(file, withDefaults(relative.hf!, textOf(json, relative.hf!))), relative, false);
}

/** model_type of the part that is this model. */
function innerType(json: JsonObject, { textConfig }: HfSpelling): Json | undefined {
  const inner = textConfig === undefined ? undefined : json[textConfig];
  return isObject(inner) ? inner.model_type : undefined;
}

const LAB = 'cria_lab';
const llama = () => relatives.find(({ name }) => name === 'llama')!;

function unknownType(type: unknown): string {
  const known = relatives.flatMap(({ hf }) => (hf === null ? [] : [hf.modelType]));
  return `model_type is ${show(type)}, expected ${[...new Set(known)].join(', ')}`;
}

/** The configuration of the text part, where the model has more senses; ids may be said outside. */
function textOf(json: JsonObject, { textConfig }: HfSpelling): JsonObject {
  const inner = textConfig === undefined ? undefined : json[textConfig];
  if (!isObject(inner)) return json;
  const outer = ['bos_token_id', 'eos_token_id', 'tie_word_embeddings', 'quantization_config'];
  const shared = Object.entries(json).filter(([key]) => outer.includes(key));
  return { ...Object.fromEntries(shared), ...inner };
}

function withDefaults({ defaults = {} }: HfSpelling, json: JsonObject): JsonObject {
  return { ...defaults, ...json };
}

function readKeys(keys: Facts, relative: Relative, isLab: boolean): HfConfig {
  keys.take('model_type');
  keys.ignore(harmless);
  const read = fillFacts(relative, (fact, known) => fact.readHf(keys, known));
  const config = { ...read, ...(isLab ? readLab(keys) : {}) };
  refuseOtherMathematics(keys);
  acceptSameFacts(keys, config);
  const quantization = readHfQuantization(keys.take('quantization_config'), (key, problem) =>
    keys.problem(key, problem),
  );
  const bosId = readIds(keys, 'bos_token_id')[0] ?? null;
  const eosIds = readIds(keys, 'eos_token_id');
  keys.finish();
  return { relative, config, quantization, bosId, eosIds, unusedKeys: keys.unused };
}

type LabChoices = { readonly [key in keyof typeof labChoices]: (typeof labChoices)[key][number] };

function readLab(keys: Facts): LabChoices {
  const given = keys.take('lab');
  if (!isObject(given)) keys.problem('lab', `is ${show(given)}, expected an object`);
  const inner = new Facts(keys.where, isObject(given) ? given : {}, 'lab.');
  const choose = (key: keyof typeof labChoices) => {
    const value = inner.take(key) ?? paperChoices[key]; // what an earlier version did not know
    const values: readonly string[] = labChoices[key];
    if (typeof value === 'string' && values.includes(value)) return value;
    inner.problem(key, `is ${show(value)}, expected one of ${values.join(', ')}`);
    return values[0]!;
  };
  const names = Object.keys(labChoices) as (keyof typeof labChoices)[];
  const choices = Object.fromEntries(names.map((key) => [key, choose(key)])) as LabChoices;
  keys.include(inner);
  return choices;
}

/** Keys that say where the file comes from, how it was trained, or how it is served; none changes what is computed. */
// biome-ignore format: a list
const harmless = [
  '_name_or_path', '_from_model_config', '_commit_hash', '_attn_implementation', '_attn_implementation_autoset', 'architectures',
  'attention_dropout', 'attn_implementation', 'auto_map', 'bad_words_ids', 'chunk_size_feed_forward', 'custom_pipelines',
  'dtype', 'finetuning_task', 'hidden_dropout', 'id2label', 'initializer_range', 'initializer_factor', 'is_decoder',
  'keys_to_ignore_at_inference', 'label2id', 'name_or_path', 'num_beams', 'num_labels',
  'output_attentions', 'output_hidden_states', 'output_router_logits', 'pad_token_id', 'prefix', 'pretraining_tp',
  'problem_type', 'resid_pdrop', 'embd_pdrop', 'attn_pdrop', 'return_dict', 'sep_token_id', 'task_specific_params',
  'tokenizer_class', 'torch_dtype', 'torchscript', 'transformers_version', 'transformers.js_config', 'unk_token_id',
  'unsloth_version', 'unsloth_fixed', 'use_bfloat16', 'use_cache', 'use_flash_attn', '_flash_attn_2_enabled',
] as const;

/** Keys of the mathematics that a relative may have a fact for; where it has none, only the value at which they change nothing passes. */
const neutral: readonly (readonly [key: string, accepted: readonly unknown[], why: string])[] = [
  ['attention_bias', [false], 'the projections have no biases'],
  ['mlp_bias', [false], 'the feed-forward layer has no biases'],
  ['partial_rotary_factor', [1], 'rotary positions turn whole heads'],
  ['rotary_pct', [1], 'rotary positions turn whole heads'],
  ['attention_multiplier', [], 'this scaling is not part of the model'],
  ['embedding_multiplier', [1], 'this scaling is not part of the model'],
  ['residual_multiplier', [1], 'this scaling is not part of the model'],
  ['logits_scaling', [1], 'this scaling is not part of the model'],
  ['qk_norm', [false], 'queries and keys are not normalised'],
  ['use_qk_norm', [false], 'queries and keys are not normalised'],
  ['is_encoder_decoder', [false], 'the model is a decoder'],
  ['add_cross_attention', [false], 'the model is a decoder'],
  ['tie_encoder_decoder', [false], 'the model is a decoder'],
  ['pruned_heads', [{}], 'every head is there'],
  ...['num_local_experts', 'num_experts', 'num_experts_per_tok', 'n_routed_experts', 'n_shared_experts'].map(
    (key) => [key, [0, 1], 'there is one feed-forward layer per block'] as const,
  ),
];

function refuseOtherMathematics(keys: Facts): void {
  for (const [key, accepted, why] of neutral) keys.onlyIfUnread(key, accepted, why);
}

/**
 * config.json in the spelling of transformers 4, which 5 reads too, and the relative in whose spelling it is. A model of the
 * architecture lab, which transformers does not know, is of the type cria_lab and says its choices. Throws ConfigError for what has no form.
 */
export function hfConfigOf(config: LlamaConfig): {
  readonly relative: Relative;
  readonly json: Record<string, unknown>;
} {
  const own = relatives.filter(({ name }) => name === config.family);
  const problems: string[] = [];
  for (const relative of [...own, ...relatives.filter(({ name }) => name !== config.family)]) {
    if (relative.hf === null) continue;
    const json = writeKeys(relative, config);
    const found = problemsOf(config, json);
    if (found.length === 0) return { relative, json };
    if (problems.length === 0) problems.push(...found);
  }
  const names = Object.keys(labChoices) as (keyof typeof labChoices)[];
  const paper = { ...config, ...Object.fromEntries(names.map((key) => [key, paperChoices[key]])) } as LlamaConfig;
  const relative = llama();
  const { hidden_act: _, ...shared } = writeKeys(relative, paper);
  const lab = Object.fromEntries(names.map((key) => [key, config[key]]));
  const json = { ...shared, architectures: ['CriaLabForCausalLM'], model_type: LAB, lab };
  if (problemsOf(config, json).length === 0) return { relative, json };
  throw new ConfigError(
    'config.json',
    problems.map((problem) => `${problem}; no model of transformers has it in this form`),
  );
}

/** What a reader of this file would not take for this configuration. */
function problemsOf(config: LlamaConfig, json: Record<string, unknown>): readonly string[] {
  try {
    return differences(config, readHfConfig('config.json', json as JsonObject).config);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

function writeKeys(relative: Relative, config: LlamaConfig): Record<string, unknown> {
  const { modelType, architecture } = relative.hf!;
  const keys = factsOf(relative).map((fact) => fact.writeHf(config));
  return { architectures: [architecture], model_type: modelType, ...Object.assign({}, ...keys), use_cache: true };
}
