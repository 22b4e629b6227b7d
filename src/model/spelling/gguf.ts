/** The configuration inside a GGUF file's metadata, in llama.cpp's keys: read and written by the facts of its relative. */
import { ConfigError } from '../../base/errors.ts';
import { Facts } from '../../formats/config/facts.ts';
import { noSuchKeys } from '../../formats/config/unknown-keys.ts';
import type { Gguf } from '../../formats/gguf.ts';
import { type Json, show } from '../../formats/json.ts';
import type { TensorSource } from '../../tensor/source.ts';
import type { LlamaConfig } from '../config.ts';
import { foreignName, listParameters } from '../parameters.ts';
import { relatives } from '../relatives/relatives.ts';
import { differences, factsOf, fillFacts } from './family.ts';
import type { GgufEntry, GgufFacts, Relative } from './relative.ts';

/** Keys that say what was done, not what is computed. */
const harmless = ['tensor_data_layout', 'rope.scaling.finetuned'];

export interface GgufConfig {
  readonly config: LlamaConfig;
  readonly relative: Relative;
  /** Keys that nobody knows and that change nothing. */
  readonly unusedKeys: readonly string[];
}

/** `ignoreKeys`: with or without the architecture in front. Throws ConfigError with every problem. */
export function readGgufConfig(file: string, gguf: Gguf, ignoreKeys: readonly string[] = []): GgufConfig {
  const architecture = gguf.fields.get('general.architecture')?.value;
  const candidates = relatives.filter(
    ({ gguf: form }) => form?.architecture === architecture || form?.aliases?.some((alias) => alias === architecture),
  );
  if (candidates.length === 0) {
    const known = relatives.flatMap((one) => (one.gguf === null ? [] : [one.gguf.architecture]));
    throw new ConfigError(file, [
      `general.architecture is ${show(architecture ?? null)}, expected ${[...new Set(known)].join(', ')}`,
    ]);
  }
  const prefix = `${architecture}.`;
  const values = valuesOf(file, gguf, prefix, ignoreKeys);
  const tokens = gguf.fields.get('tokenizer.ggml.tokens')?.value;
  const vocabularyLength = Array.isArray(tokens) ? Math.max(1, tokens.length) : 1;
  // LLaMA, Mistral and Mixtral are one architecture in GGUF: the first that knows all that the file says.
  const read = candidates.map((relative) =>
    readKeys(new Facts(file, values, prefix), relative, { tensors: gguf.tensors, vocabularyLength }),
  );
  const best = read.reduce((a, b) => (b.keys.problems.length < a.keys.problems.length ? b : a));
  best.keys.finish();
  return { config: best.config, relative: best.relative, unusedKeys: best.keys.unused };
}

/** The keys under an architecture's prefix, without those to be ignored. */
function valuesOf(
  file: string,
  gguf: Gguf,
  prefix: string,
  ignoreKeys: readonly string[],
): Readonly<Record<string, Json>> {
  const ignored = ignoreKeys.map((key) => (key.startsWith(prefix) ? key.slice(prefix.length) : key));
  const missing = ignored.filter((key) => !gguf.fields.has(prefix + key)).map((key) => prefix + key);
  if (missing.length > 0) throw noSuchKeys(file, missing);
  const values: Record<string, Json> = {};
  for (const [key, { value }] of gguf.fields) {
    const name = key.slice(prefix.length);
    if (key.startsWith(prefix) && !ignored.includes(name)) values[name] = plain(value);
  }
  return values;
}

function readKeys(keys: Facts, relative: Relative, file: GgufFacts) {
  keys.ignore(harmless);
  // The other norm's epsilon: converters write both.
  if (keys.given('attention.layer_norm_rms_epsilon')) keys.ignore(['attention.layer_norm_epsilon']);
  const config = fillFacts(relative, (fact, known) => fact.readGguf(keys, known, file));
  keys.onlyIfUnread('attention.causal', [true, null], 'the model is a decoder');
  for (const key of ['expert_count', 'expert_used_count']) {
    keys.onlyIfUnread(key, [0, 1, null], 'there is one feed-forward layer per block');
  }
  keys.sortUnread();
  return { keys, config, relative };
}

/** As JSON has it. Some files give one number per block: where all are the same, that number. */
function plain(value: unknown): Json {
  if (typeof value === 'bigint') return Number(value);
  const list = ArrayBuffer.isView(value) ? Array.from(value as unknown as ArrayLike<number>, Number) : value;
  if (!Array.isArray(list) || list.length === 0 || list.length > 1 << 16) return list as Json;
  return (list.every((one) => one === list[0]) ? list[0] : list) as Json;
}

/**
 * The keys of a configuration, without the architecture in front, and the relative in whose spelling they are. Throws ConfigError for
 * what GGUF has no form for.
 */
export function ggufKeysOf(config: LlamaConfig): {
  readonly relative: Relative;
  readonly entries: readonly GgufEntry[];
} {
  const own = relatives.filter(({ name }) => name === config.family);
  const problems: string[] = [];
  for (const relative of [...own, ...relatives.filter(({ name }) => name !== config.family)]) {
    if (relative.gguf === null) continue;
    const entries = factsOf(relative).flatMap((fact) => [...fact.writeGguf(config)]);
    const found = differences(comparable(config), comparable(readBack(relative, config, entries)));
    if (found.length === 0) return { relative, entries };
    if (problems.length === 0) problems.push(...found);
  }
  throw new ConfigError(
    'writing GGUF',
    problems.map((problem) => `${problem}: GGUF has no form for other architectures`),
  );
}

/** Scalings that are tensors in GGUF are not compared here. */
function comparable(config: LlamaConfig): LlamaConfig {
  const isTensor = ['llama3', 'factors', 'longrope'].includes(config.ropeScaling.kind);
  return isTensor ? { ...config, ropeScaling: { kind: 'none' } } : config;
}

/** What a reader of these keys, and of tensors of this configuration, would take it for. */
function readBack(relative: Relative, config: LlamaConfig, entries: readonly GgufEntry[]): LlamaConfig {
  const tensors = new Map<string, TensorSource>();
  for (const parameter of listParameters(config)) {
    const name = foreignName(parameter, 'gguf', relative.gguf!.names);
    const source = { name: parameter.name, dtype: 'f32', shape: parameter.shape, readRows: () => {} } as const;
    if (name !== null) tensors.set(name, source);
  }
  const values = Object.fromEntries(entries.map(([key, , value]) => [key, plain(value)]));
  const keys = new Facts('GGUF', values);
  return fillFacts(relative, (fact, known) => fact.readGguf(keys, known, { tensors, vocabularyLength: 1 }));
}
