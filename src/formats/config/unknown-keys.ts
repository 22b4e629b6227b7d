/**
 * What to do with a key of a configuration that no reader knows. A key that nobody knows may change what is computed, and then the
 * model would speak fluent nonsense; but most such keys say how a model was trained, served or sampled. The rule:
 *
 * 1. a value that says nothing (null, false, 0, an empty list …) is harmless, whatever its name;
 * 2. a name that speaks of training or of how something is computed, not of what (dropout, initializer, flash, backend), is harmless;
 * 3. a count or factor of 1 in a name of experts, groups, multipliers or scalings is harmless: it is what happens without it;
 * 4. a name, or a value (its own words, and the keys inside it), that speaks of attention, positions, norms, the feed-forward layer,
 *    experts, scalings or quantization refuses the file;
 * 5. every other key is harmless.
 */
import { ConfigError } from '../../base/errors.ts';
import { isObject, type Json, type JsonObject, show } from '../json.ts';

const howNotWhat = new RegExp(
  [
    'dropout|_p?drop$|drop_path|initializer|init_(?:std|scale|method|range)|_init$|_loss|loss_|jitter|learning_rate|warmup',
    'gradient|checkpointing|recompute|optimizer|flash|sdpa|fused|kernel|backend|implementation|(?:^|_)impl(?:_|$)|fp32',
    '(?:^|_)dtype|precision|parallel(?!_residual|_attn)|pipeline|deterministic|output_(?:attentions|hidden|router_logits)|cache',
    'max_.*len|seq(?:uence)?_?len|n_positions|n_ctx|max_position|context_(?:len|size|window)|window_size_for',
    'generation|comment|description|licen[sc]e|version|_name$|_path$|_url$',
  ].join('|'),
  'i',
);

const counted = /experts?(?:_|$)|groups?(?:_|$)|multiplier|scal(?:e|ing)_?factor|_factor$|logits?_scal/i;

const mathematics = new RegExp(
  [
    'attn|attention|heads?(?:_|\\.|$)|(?<![a-z])[a-z]?rope|rotary|rotat|alibi|position|theta|(?<![a-z])yarn|norm|mlp|ffn|feed_?forward',
    'activation|hidden_act|gate|(?<![a-z])[a-z]{0,2}glu(?:_|$)|expert|(?<![a-z])moe|router|routing|scal(?:e|ing)|multiplier|quant',
    '(?<![a-z])bits?(?:_|$)|window|sliding|chunk|sinks?(?:_|$)|soft_?cap|_cap(?:_|$)|bias|residual|altup|laurel|mamba',
    '(?<![a-z])ssm|conv(?:_|\\d|$)|recurrent|linear_|(?<![a-z])lora|adapter|(?<![a-z])tie_|layer_types?|cross_',
  ].join('|'),
  'i',
);

/** Whether the value says nothing: null, false, 0, an empty text, or a list or an object of nothing but such. */
export function saysNothing(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === 0 || value === '') return true;
  if (ArrayBuffer.isView(value)) return Array.from(value as Uint8Array).every((one) => Number(one) === 0);
  if (Array.isArray(value)) return value.every(saysNothing);
  return typeof value === 'object' && Object.values(value).every(saysNothing);
}

/** Whether an unknown key may change what is computed. */
export function mayChangeMathematics(key: string, value: unknown): boolean {
  if (saysNothing(value)) return false;
  if (howNotWhat.test(key)) return false;
  if (value === 1 && counted.test(key) && !/attn|attention|softmax/i.test(key)) return false;
  return mathematics.test(key) || wordsIn(value).some((word) => mathematics.test(word) && !howNotWhat.test(word));
}

/** The names in a value: keys of objects that say something, and texts of one word (a path or a sentence is no name). */
function wordsIn(value: unknown): string[] {
  if (typeof value === 'string') return /^[\w.-]{1,64}$/.test(value) ? [value] : [];
  if (ArrayBuffer.isView(value) || typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return value.slice(0, 256).flatMap(wordsIn);
  return Object.entries(value as Record<string, Json>).flatMap(([key, inner]) =>
    saysNothing(inner) ? [] : [key, ...wordsIn(inner)],
  );
}

/**
 * The configuration as if these keys were not there; `rope_scaling.x` is a key inside an object. Throws ConfigError for one that is
 * not there: a misspelt name must not pass for one that was heeded.
 */
export function withoutKeys(where: string, values: JsonObject, keys: readonly string[]): JsonObject {
  let kept = values;
  const missing: string[] = [];
  for (const key of keys) {
    const next = withoutKey(kept, key);
    if (next === null) missing.push(key);
    else kept = next;
  }
  if (missing.length > 0) throw noSuchKeys(where, missing);
  return kept;
}

function withoutKey(values: JsonObject, key: string): JsonObject | null {
  if (Object.hasOwn(values, key)) {
    return Object.fromEntries(Object.entries(values).filter(([name]) => name !== key));
  }
  const dot = key.indexOf('.');
  const outer = dot < 0 ? undefined : values[key.slice(0, dot)];
  const inner = isObject(outer) ? withoutKey(outer, key.slice(dot + 1)) : null;
  return inner === null ? null : { ...values, [key.slice(0, dot)]: inner };
}

export function noSuchKeys(where: string, keys: readonly string[]): ConfigError {
  const problems = keys.map((key) => `--ignore-key ${key} (ignoreKeys) names a key that is not there`);
  return new ConfigError(where, problems, 'config.ignore-keys');
}

/** The problem with such a key, in words. */
export function unknownKeyProblem(key: string, value: unknown): string {
  return (
    `is ${show(value)}, a key that this reader does not know; by its name or value it may change what is computed. ` +
    `Where you know that it does not: --ignore-key ${key} (in a program: ignoreKeys)`
  );
}
