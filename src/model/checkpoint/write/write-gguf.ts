/** Writes a checkpoint as GGUF, with the metadata that llama.cpp's converter writes. */
import type { GgufField, GgufType } from '../../../formats/gguf-values.ts';
import { writeGguf } from '../../../formats/gguf-write.ts';
import type { NamedTensor } from '../../../formats/safetensors-write.ts';
import type { Sink } from '../../../formats/sink.ts';
import type { GgufValue } from '../../../formats/tokenizer-files.ts';
import type { WeightType } from '../../../tensor/dtype.ts';
import type { TensorSource } from '../../../tensor/source.ts';
import type { LlamaConfig } from '../../config.ts';
import { parameterCount } from '../../parameters.ts';
import { ggufKeysOf } from '../../spelling/gguf.ts';
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
  /** Further fields, such as how the file was quantized. */
  readonly notes?: ReadonlyMap<string, GgufField>;
}

/** Norms and biases stay f32 whatever `typeOf` says, as llama.cpp's kernels want them. Throws ConfigError for what GGUF has no form for. */
export function writeGgufCheckpoint(
  sink: Sink,
  { name, config, tensors, chatTemplate }: Written,
  options: GgufOptions,
): void {
  const { relative, entries } = ggufKeysOf(config);
  const { architecture, rotary, names } = relative.gguf!;
  const fields = new Map<string, GgufField>();
  const set = (key: string, type: GgufType, value: GgufValue) => fields.set(key, { type, value });
  set('general.architecture', 'string', architecture);
  set('general.type', 'string', 'model');
  set('general.name', 'string', name);
  set('general.size_label', 'string', sizeLabel(parameterCount(config)));
  for (const [key, type, value] of entries) set(`${architecture}.${key}`, type, value);
  set('general.file_type', 'u32', options.fileType);
  // llama.cpp opens a file without a vocabulary only where the file says that this is meant.
  if (options.tokenizer.size === 0) fields.set('tokenizer.ggml.model', { type: 'string', value: 'no_vocab' });
  for (const [key, field] of options.tokenizer) fields.set(key, field);
  if (chatTemplate !== null) fields.set('tokenizer.chat_template', { type: 'string', value: chatTemplate });
  for (const [key, field] of options.notes ?? []) fields.set(key, field);
  fields.set('general.quantization_version', { type: 'u32', value: 2 });
  const form = { names: 'gguf', own: names, rotary } as const;
  const converted = convertTensors(config, tensors, form, {
    encode: options.encode,
    typeOf: (parameter) => (parameter.shape.length === 1 ? 'f32' : options.typeOf(parameter)),
  });
  writeGguf(sink, fields, [...divisorTensors(config), ...converted]);
}

/** 58K, 1.1B, 6.7B: at least two digits, as gguf-py writes it. */
function sizeLabel(count: number): string {
  const [unit, letter] = count > 1e12 ? [1e12, 'T'] : count > 1e9 ? [1e9, 'B'] : count > 1e6 ? [1e6, 'M'] : [1e3, 'K'];
  const scaled = count / unit;
  return scaled.toFixed(Math.max(0, 2 - String(Math.round(scaled)).length)) + letter;
}

/** Scalings that are tensors in GGUF: Llama 3.1's, and LongRoPE's two lists. */
function divisorTensors(config: LlamaConfig): NamedTensor[] {
  const { ropeScaling: scaling } = config;
  if (scaling.kind === 'longrope') {
    return [
      vector('rope_factors_long.weight', scaling.longFactors),
      vector('rope_factors_short.weight', scaling.shortFactors),
    ];
  }
  if (scaling.kind !== 'llama3' && scaling.kind !== 'factors') return [];
  return [vector('rope_freqs.weight', ropeDivisors(config))];
}

function vector(name: string, values: readonly number[]): NamedTensor {
  const floats = Float32Array.from(values);
  const tensor: TensorSource = {
    name,
    dtype: 'f32',
    shape: [floats.length],
    readRows: (target, _firstRow, rows) => {
      if (rows > 0) target.set(new Uint8Array(floats.buffer));
    },
  };
  return [name, tensor];
}
