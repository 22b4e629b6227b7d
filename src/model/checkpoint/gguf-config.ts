/** The configuration inside a GGUF file's metadata, in llama.cpp's keys. Every key of the architecture is read or refused. */
import { ConfigError } from '../../base/errors.ts';
import { mayChangeMathematics, noSuchKeys, unknownKeyProblem } from '../../formats/config/unknown-keys.ts';
import { readTensor } from '../../formats/file-tensor.ts';
import type { Gguf } from '../../formats/gguf.ts';
import { show } from '../../formats/json.ts';
import { type LlamaConfig, paperChoices, type RopeScaling } from '../config.ts';
import { recogniseLlama3 } from './rope-factors.ts';
import { shortestF32 } from './shortest.ts';

export const ggufArchitectures = ['llama', 'mistral', 'qwen2'] as const;
export type GgufArchitecture = (typeof ggufArchitectures)[number];

/** Keys that say what was done, not what is computed. */
const harmless = ['tensor_data_layout', 'rope.scaling.finetuned'];

export interface GgufConfig {
  readonly config: LlamaConfig;
  readonly architecture: GgufArchitecture;
  /** Keys that nobody knows and that change nothing. */
  readonly unusedKeys: readonly string[];
}

/** `ignoreKeys`: with or without the architecture in front. Throws ConfigError with every problem. */
export function readGgufConfig(file: string, gguf: Gguf, ignoreKeys: readonly string[] = []): GgufConfig {
  const architecture = gguf.fields.get('general.architecture')?.value;
  if (!ggufArchitectures.some((known) => known === architecture)) {
    throw new ConfigError(file, [
      `general.architecture is ${show(architecture ?? null)}, expected ${ggufArchitectures.join(', ')}`,
    ]);
  }
  const keys = new Keys(gguf, architecture as GgufArchitecture, ignoreKeys);
  const width = keys.count('embedding_length');
  const headCount = keys.count('attention.head_count');
  const headSize = readHeadSize(keys, width, headCount);
  const contextLength = keys.count('context_length');
  const embedding = gguf.tensors.get('token_embd.weight');
  keys.expect('vocab_size', [embedding?.shape[0] ?? keys.vocabularyLength()], 'the rows of token_embd.weight');
  keys.expect('attention.causal', [true], 'LLaMA is a decoder');
  keys.expect('expert_count', [0, 1], 'there is one feed-forward layer per block');
  keys.expect('expert_used_count', [0, 1], 'there is one feed-forward layer per block');
  const config: LlamaConfig = {
    width,
    blockCount: keys.count('block_count'),
    headCount,
    kvHeadCount: keys.count('attention.head_count_kv', headCount),
    headSize,
    ffnWidth: keys.count('feed_forward_length'),
    vocabSize: embedding?.shape[0] ?? keys.vocabularyLength(),
    contextLength,
    normEps: shortestF32(keys.number('attention.layer_norm_rms_epsilon')),
    ropeTheta: shortestF32(keys.number('rope.freq_base', 10_000)),
    ropeScaling: readRopeScaling(keys, gguf, headSize, contextLength),
    tiedEmbeddings: !gguf.tensors.has('output.weight'),
    attentionBias: gguf.tensors.has('blk.0.attn_q.bias'),
    slidingWindow: keys.number('attention.sliding_window', 0) || null,
    ...paperChoices,
  };
  const unusedKeys = keys.finish(file);
  return { config, architecture: architecture as GgufArchitecture, unusedKeys };
}

function readHeadSize(keys: Keys, width: number, headCount: number): number {
  const headSize = keys.count('attention.key_length', width / headCount);
  keys.expect('attention.value_length', [headSize], 'keys and values are of one size');
  keys.expect('rope.dimension_count', [headSize], 'rotary positions turn whole heads');
  return headSize;
}

/** rope.scaling.*, the older rope.scale_linear, and the divisors in rope_freqs.weight. */
function readRopeScaling(keys: Keys, gguf: Gguf, headSize: number, contextLength: number): RopeScaling {
  const factor = keys.number('rope.scaling.factor', keys.number('rope.scale_linear', 1));
  const type = keys.text('rope.scaling.type', factor === 1 ? 'none' : 'linear');
  const originalContextLength = keys.count('rope.scaling.original_context_length', contextLength);
  const attentionFactor = keys.number('rope.scaling.attn_factor', 1);
  const betaFast = keys.number('rope.scaling.yarn_beta_fast', 32);
  const betaSlow = keys.number('rope.scaling.yarn_beta_slow', 1);
  keys.expect('rope.scaling.yarn_ext_factor', [1, -1], 'YaRN blends fully');
  const divisors = readDivisors(keys, gguf, headSize);
  if (divisors !== null) {
    if (type === 'yarn') keys.problems.push('rope_freqs.weight is there besides YaRN; expected one of the two');
    const factors = divisors.map((divisor) => divisor * (type === 'none' ? 1 : factor));
    return recogniseLlama3(factors, keys.number('rope.freq_base', 10_000), headSize) ?? { kind: 'factors', factors };
  }
  if (type === 'none' || (type === 'linear' && factor === 1)) return { kind: 'none' };
  if (type === 'linear') return { kind: 'linear', factor };
  if (type !== 'yarn') {
    keys.problems.push(`${keys.prefix}rope.scaling.type is ${show(type)}, expected none, linear or yarn`);
    return { kind: 'none' };
  }
  const magnitude = attentionFactor === 1 ? null : attentionFactor * (0.1 * Math.log(factor) + 1);
  return { kind: 'yarn', factor, originalContextLength, betaFast, betaSlow, attentionFactor: magnitude };
}

function readDivisors(keys: Keys, gguf: Gguf, headSize: number): number[] | null {
  const tensor = gguf.tensors.get('rope_freqs.weight');
  if (tensor === undefined) return null;
  if (!(tensor.dtype === 'f32' && tensor.shape.length === 1 && tensor.shape[0] === headSize / 2)) {
    keys.problems.push(`rope_freqs.weight is ${tensor.dtype} [${tensor.shape}], expected f32 [${headSize / 2}]`);
    return null;
  }
  const divisors = [...new Float32Array(readTensor(tensor).buffer)];
  if (!divisors.every((divisor) => divisor > 0 && Number.isFinite(divisor))) {
    keys.problems.push('rope_freqs.weight holds numbers that are not positive and finite');
    return null;
  }
  return divisors;
}

/** The metadata under `llama.` or its like: each key is read once, or is a problem. */
class Keys {
  readonly prefix: string;
  readonly problems: string[] = [];
  private readonly gguf: Gguf;
  private readonly unread: Set<string>;
  private readonly ignored: ReadonlySet<string>;

  constructor(gguf: Gguf, architecture: GgufArchitecture, ignoreKeys: readonly string[]) {
    this.gguf = gguf;
    this.prefix = `${architecture}.`;
    const given = [...gguf.fields.keys()].filter((key) => key.startsWith(this.prefix));
    this.ignored = new Set(ignoreKeys.map((key) => (key.startsWith(this.prefix) ? key : this.prefix + key)));
    this.unread = new Set(given.filter((key) => !this.ignored.has(key)));
    for (const key of harmless) this.unread.delete(this.prefix + key);
    // The other norm's epsilon: converters write both.
    if (gguf.fields.has(`${this.prefix}attention.layer_norm_rms_epsilon`)) {
      this.unread.delete(`${this.prefix}attention.layer_norm_epsilon`);
    }
  }

  private take(key: string): unknown {
    const name = this.prefix + key;
    this.unread.delete(name);
    return this.ignored.has(name) ? undefined : this.gguf.fields.get(name)?.value;
  }

  number(key: string, otherwise?: number): number {
    let value = this.take(key);
    // Some files give one number per block.
    if (ArrayBuffer.isView(value)) {
      const each = value as unknown as ArrayLike<number>;
      value = each.length > 0 && Array.from(each).every((one) => one === each[0]) ? each[0] : value;
    }
    if (typeof value === 'number' && Number.isFinite(value)) return value;
    if (value === undefined && otherwise !== undefined) return otherwise;
    const found = value === undefined ? 'is missing; expected a number' : `is ${show(value)}, expected one number`;
    this.problems.push(`${this.prefix}${key} ${found}`);
    return otherwise ?? 1;
  }

  count(key: string, otherwise?: number): number {
    const value = this.number(key, otherwise);
    if (Number.isSafeInteger(value) && value >= 1) return value;
    this.problems.push(`${this.prefix}${key} is ${value}, expected a whole number from 1`);
    return 1;
  }

  text(key: string, otherwise: string): string {
    const value = this.take(key);
    if (typeof value === 'string') return value;
    if (value !== undefined) this.problems.push(`${this.prefix}${key} is ${show(value)}, expected a text`);
    return otherwise;
  }

  /** Absent, or one of these values. */
  expect(key: string, accepted: readonly unknown[], why: string): void {
    const value = this.take(key);
    if (value !== undefined && !accepted.includes(value)) {
      this.problems.push(`${this.prefix}${key} is ${show(value)}, expected ${accepted.map(show).join(' or ')}: ${why}`);
    }
  }

  vocabularyLength(): number {
    const tokens = this.gguf.fields.get('tokenizer.ggml.tokens')?.value;
    return Array.isArray(tokens) ? Math.max(1, tokens.length) : 1;
  }

  /** The keys that nobody asked for and that change nothing. Throws ConfigError with every problem. */
  finish(file: string): string[] {
    const missing = [...this.ignored].filter((key) => !this.gguf.fields.has(key));
    if (missing.length > 0) throw noSuchKeys(file, missing);
    const unused: string[] = [];
    for (const key of this.unread) {
      const value = this.gguf.fields.get(key)!.value;
      if (mayChangeMathematics(key, value)) this.problems.push(`${key} ${unknownKeyProblem(key, value)}`);
      else unused.push(key);
    }
    if (this.problems.length > 0) throw new ConfigError(file, this.problems);
    return unused;
  }
}
