/** Writes a checkpoint as GGUF, with the metadata that llama.cpp's converter writes. */
import { ConfigError } from '../../../base/errors.ts';
import { labChoices } from '../../../formats/config/hf-config.ts';
import type { GgufField, GgufType } from '../../../formats/gguf-values.ts';
import { writeGguf } from '../../../formats/gguf-write.ts';
import type { NamedTensor } from '../../../formats/safetensors-write.ts';
import type { Sink } from '../../../formats/sink.ts';
import type { GgufValue } from '../../../formats/tokenizer-files.ts';
import type { WeightType } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import { type LlamaConfig, paperChoices } from '../../config.ts';
import { parameterCount } from '../../parameters.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { ropeDivisors } from '../rope-factors.ts';
import { type Conversion, convertTensors } from './convert.ts';

/** llama.cpp's number of a file by what most of it is (llama.h, llama_ftype). */
// biome-ignore format: a table
export const ggufFileTypes = {
  f32: 0, f16: 1, Q4_0: 2, Q4_1: 3, Q8_0: 7, Q5_0: 8, Q5_1: 9, Q2_K: 10, Q3_K: 12, Q4_K: 15, Q5_K: 17, Q6_K: 18, bf16: 32,
  IQ2_XXS: 19, IQ2_XS: 20, IQ3_XXS: 23, IQ1_S: 24, IQ4_NL: 25, IQ3_S: 26, IQ2_S: 28, IQ4_XS: 30, IQ1_M: 31,
  TQ1_0: 36, TQ2_0: 37, MXFP4: 38,
} as const satisfies Record<WeightType, number>;

export type Written = Pick<Checkpoint, 'name' | 'config' | 'tensors' | 'chatTemplate'>;

export interface GgufOptions extends Conversion {
  /** What most of the file is; see ggufFileTypes. */
  readonly fileType: number;
  /** The tokenizer.* fields, from ggufTokenizerFields; empty for a model without a tokenizer. */
  readonly tokenizer: ReadonlyMap<string, GgufField>;
}

/** Norms and biases stay f32 whatever `typeOf` says, as llama.cpp's kernels want them. Throws ConfigError for a lab architecture. */
export function writeGgufCheckpoint(
  sink: Sink,
  { name, config, tensors, chatTemplate }: Written,
  options: GgufOptions,
): void {
  requirePaper(config, 'GGUF');
  const architecture = config.attentionBias ? 'qwen2' : 'llama';
  const fields = metadataOf(architecture, name, config, options.fileType);
  // llama.cpp opens a file without a vocabulary only where the file says that this is meant.
  if (options.tokenizer.size === 0) fields.set('tokenizer.ggml.model', { type: 'string', value: 'no_vocab' });
  for (const [key, field] of options.tokenizer) fields.set(key, field);
  if (chatTemplate !== null) fields.set('tokenizer.chat_template', { type: 'string', value: chatTemplate });
  fields.set('general.quantization_version', { type: 'u32', value: 2 });
  const converted = convertTensors(config, tensors, 'gguf', architecture === 'qwen2' ? 'halves' : 'pairs', {
    encode: options.encode,
    typeOf: (parameter) => (parameter.shape.length === 1 ? 'f32' : options.typeOf(parameter)),
  });
  writeGguf(sink, fields, [...divisorTensor(config), ...converted]);
}

/** Refuses what only the architecture lab builds. */
export function requirePaper(config: LlamaConfig, format: string): void {
  const problems = (Object.keys(labChoices) as (keyof typeof labChoices)[])
    .filter((key) => config[key] !== paperChoices[key])
    .map(
      (key) => `${key} is ${config[key]}, expected ${paperChoices[key]}: ${format} has no form for other architectures`,
    );
  if (problems.length > 0) throw new ConfigError(`writing ${format}`, problems);
}

function metadataOf(architecture: string, name: string, config: LlamaConfig, fileType: number): Map<string, GgufField> {
  const fields = new Map<string, GgufField>();
  const set = (key: string, type: GgufType, value: GgufValue) => fields.set(key, { type, value });
  const own = (key: string, type: GgufType, value: GgufValue) => set(`${architecture}.${key}`, type, value);
  set('general.architecture', 'string', architecture);
  set('general.type', 'string', 'model');
  set('general.name', 'string', name);
  set('general.size_label', 'string', sizeLabel(parameterCount(config)));
  own('block_count', 'u32', config.blockCount);
  own('context_length', 'u32', config.contextLength);
  own('embedding_length', 'u32', config.width);
  own('feed_forward_length', 'u32', config.ffnWidth);
  own('attention.head_count', 'u32', config.headCount);
  own('attention.head_count_kv', 'u32', config.kvHeadCount);
  own('rope.freq_base', 'f32', config.ropeTheta);
  own('attention.layer_norm_rms_epsilon', 'f32', config.normEps);
  if (config.headSize * config.headCount !== config.width) {
    own('attention.key_length', 'u32', config.headSize);
    own('attention.value_length', 'u32', config.headSize);
  }
  if (config.slidingWindow !== null) own('attention.sliding_window', 'u32', config.slidingWindow);
  set('general.file_type', 'u32', fileType);
  own('vocab_size', 'u32', config.vocabSize);
  own('rope.dimension_count', 'u32', config.headSize);
  const { ropeScaling } = config;
  if (ropeScaling.kind === 'linear' || ropeScaling.kind === 'yarn') {
    own('rope.scaling.type', 'string', ropeScaling.kind);
    own('rope.scaling.factor', 'f32', ropeScaling.factor);
  }
  if (ropeScaling.kind === 'yarn') {
    own('rope.scaling.original_context_length', 'u32', ropeScaling.originalContextLength);
    if (ropeScaling.betaFast !== 32) own('rope.scaling.yarn_beta_fast', 'f32', ropeScaling.betaFast);
    if (ropeScaling.betaSlow !== 1) own('rope.scaling.yarn_beta_slow', 'f32', ropeScaling.betaSlow);
    const { attentionFactor, factor } = ropeScaling;
    if (attentionFactor !== null)
      own('rope.scaling.attn_factor', 'f32', attentionFactor / (0.1 * Math.log(factor) + 1));
  }
  return fields;
}

/** 58K, 1.1B, 6.7B: at least two digits, as gguf-py writes it. */
function sizeLabel(count: number): string {
  const [unit, letter] = count > 1e12 ? [1e12, 'T'] : count > 1e9 ? [1e9, 'B'] : count > 1e6 ? [1e6, 'M'] : [1e3, 'K'];
  const scaled = count / unit;
  return scaled.toFixed(Math.max(0, 2 - String(Math.round(scaled)).length)) + letter;
}

/** Llama 3.1's scaling is a tensor in GGUF. */
function divisorTensor(config: LlamaConfig): NamedTensor[] {
  if (config.ropeScaling.kind !== 'llama3' && config.ropeScaling.kind !== 'factors') return [];
  const divisors = Float32Array.from(ropeDivisors(config));
  const tensor: TensorSource = {
    name: 'rope_freqs.weight',
    dtype: 'f32',
    shape: [divisors.length],
    readRows: (target, _firstRow, rows) => {
      if (rows > 0) target.set(new Uint8Array(divisors.buffer));
    },
  };
  return [[tensor.name, tensor]];
}
