/**
 * PEFT's adapter_config.json, of LoRA and its relatives, as plain facts. What would change the mathematics in a way that this reader does
 * not know it refuses; keys of later versions are accepted where they hold nothing.
 *
 * Source  huggingface/peft, tuners/lora/config.py: the defaults are its own.
 */
import { ConfigError } from '../../base/errors.ts';
import { isObject, type Json, parseJsonObject, show } from '../json.ts';

export interface PeftConfig {
  readonly rank: number;
  readonly alpha: number;
  readonly isRankStabilized: boolean;
  readonly hasMagnitudes: boolean;
  /** Ranks and alphas of some modules, by a pattern of their names; the first that fits counts. */
  readonly rankPattern: ReadonlyMap<string, number>;
  readonly alphaPattern: ReadonlyMap<string, number>;
  readonly modulesToSave: readonly string[];
  readonly baseModel: string | null;
}

/** Keys that say where the adapter comes from and how it was trained; none changes what is computed. */
// biome-ignore format: a list
const harmless = [
  'auto_mapping', 'base_model_name_or_path', 'corda_config', 'ensure_weight_tying', 'eva_config', 'exclude_modules',
  'inference_mode', 'layers_pattern', 'layers_to_transform', 'lora_dropout', 'megatron_core', 'peft_version', 'qalora_group_size',
  'revision', 'runtime_config', 'target_modules', 'task_type',
];
/** Read below. */
// biome-ignore format: a list
const known = [
  'peft_type', 'r', 'lora_alpha', 'use_rslora', 'use_dora', 'rank_pattern', 'alpha_pattern', 'modules_to_save',
  'bias', 'fan_in_fan_out', 'init_lora_weights', 'loftq_config',
];

/** Throws ConfigError listing every problem, or FormatError when the text is no JSON object. */
export function parsePeftConfig(file: string, text: string): PeftConfig {
  const json = parseJsonObject(file, text);
  const problems: string[] = [];
  const value = (key: string): Json => (Object.hasOwn(json, key) ? (json[key] ?? null) : null);
  const number = (key: string, otherwise: number, isWhole: boolean) => {
    const given = value(key) ?? otherwise;
    if (typeof given === 'number' && given > 0 && given <= 1e6 && (!isWhole || Number.isInteger(given))) return given;
    problems.push(`${key} is ${show(given)}, expected ${isWhole ? 'a whole number' : 'a number'} above 0`);
    return otherwise;
  };
  const flag = (key: string) => {
    const given = value(key) ?? false;
    if (typeof given !== 'boolean') problems.push(`${key} is ${show(given)}, expected true or false`);
    return given === true;
  };
  const pattern = (key: string) => {
    const given = value(key) ?? {};
    const entries = isObject(given) ? Object.entries(given) : [];
    if (!isObject(given) || entries.some(([, one]) => typeof one !== 'number' || !(one > 0)))
      problems.push(`${key} is ${show(given)}, expected an object of numbers above 0`);
    return new Map(entries.filter((entry): entry is [string, number] => typeof entry[1] === 'number'));
  };
  const names = (key: string) => {
    const given = value(key) ?? [];
    if (Array.isArray(given) && given.every((name) => typeof name === 'string')) return given as string[];
    problems.push(`${key} is ${show(given)}, expected a list of names`);
    return [];
  };

  const type = value('peft_type');
  if (type !== 'LORA')
    problems.push(`peft_type is ${show(type)}, expected "LORA": other kinds of adapters are not read`);
  const config: PeftConfig = {
    rank: number('r', 8, true),
    alpha: number('lora_alpha', 8, false),
    isRankStabilized: flag('use_rslora'),
    hasMagnitudes: flag('use_dora'),
    rankPattern: pattern('rank_pattern'),
    alphaPattern: pattern('alpha_pattern'),
    modulesToSave: names('modules_to_save'),
    baseModel: typeof value('base_model_name_or_path') === 'string' ? String(value('base_model_name_or_path')) : null,
  };
  const bias = value('bias') ?? 'none';
  if (bias !== 'none')
    problems.push(`bias is ${show(bias)}, expected "none": trained biases are not read. Merge it with PEFT`);
  flag('fan_in_fan_out'); // of Conv1D only: for layers that store by outputs, as all of LLaMA's, PEFT takes it as false
  const init = value('init_lora_weights') ?? true;
  if (typeof init === 'string' && /pissa|olora|corda|loftq/i.test(init))
    problems.push(
      `init_lora_weights is ${show(init)}, which changes the base model too: this adapter fits only weights that are not here. Save it with PEFT as a plain LoRA (path_initial_model_for_weight_conversion)`,
    );
  for (const key of Object.keys(json)) {
    if (known.includes(key) || harmless.includes(key) || isNothing(json[key]!)) continue;
    problems.push(`${key} is ${show(json[key])}, a key that this reader does not know; it may change the mathematics`);
  }
  if (problems.length > 0) throw new ConfigError(file, problems, 'adapter.config');
  return config;
}

/** What a switch holds that is off. */
function isNothing(value: Json): boolean {
  return (
    value === null ||
    value === false ||
    (Array.isArray(value) && value.length === 0) ||
    (isObject(value) && Object.keys(value).length === 0)
  );
}

/**
 * Whether a pattern of rank_pattern or alpha_pattern names a module: the whole name, or its end behind a dot, as PEFT reads it.
 * Patterns come from a file: only those without nested repetition are handed to a regular-expression engine.
 */
export function matchesModule(pattern: string, module: string): boolean {
  if (/^[\w.-]+$/.test(pattern)) return module === pattern || module.endsWith(`.${pattern}`) || fits(pattern, module);
  const repetitions = pattern.match(/[*+{]/g)?.length ?? 0;
  if (pattern.length > 500 || repetitions > (/\)[*+{]/.test(pattern) ? 1 : 3)) {
    throw new ConfigError(
      'adapter_config.json',
      [`the pattern ${show(pattern)} is longer, or repeats more, than a name of modules needs`],
      'adapter.config',
    );
  }
  return fits(pattern, module);
}

function fits(pattern: string, module: string): boolean {
  try {
    return new RegExp(`^(?:.*\\.)?(?:${pattern})$`).test(module);
  } catch {
    throw new ConfigError(
      'adapter_config.json',
      [`the pattern ${show(pattern)} is no regular expression`],
      'adapter.config',
    );
  }
}
