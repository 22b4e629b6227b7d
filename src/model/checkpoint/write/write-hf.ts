/** Writes a checkpoint as a Hugging Face folder: config.json, safetensors in one or several files, and the tokenizer's files. */
import { ArgumentError, ConfigError } from '../../../base/errors.ts';
import { labChoices } from '../../../formats/config/hf-config.ts';
import { planShards, writeSafetensors } from '../../../formats/safetensors-write.ts';
import type { Sink } from '../../../formats/sink.ts';
import { type LlamaConfig, paperChoices, type RopeScaling } from '../../config.ts';
import { listParameters } from '../../parameters.ts';
import type { Checkpoint } from '../checkpoint.ts';
import { type Conversion, convertTensors } from './convert.ts';
import { byteLevelHfOf } from './hf-tokenizer.ts';
import { sentencePieceOf } from './sentencepiece-write.ts';

/** A folder that is being written; layer 7 makes it appear whole or not at all. */
export interface FolderSink {
  create(file: string): Sink & { close(): void };
}

export interface HfOptions extends Conversion {
  readonly maxShardBytes: number;
}

type Written = Pick<Checkpoint, 'config' | 'tensors' | 'tokenizer' | 'chatTemplate' | 'generation'>;

const torchNames = { f32: 'float32', f16: 'float16', bf16: 'bfloat16' } as const;

/**
 * Says whether a tokenizer was written: of a kind that has no form here, the folder is without one, for the caller to tell.
 * Throws ArgumentError `hf.dtype` for a quantized type, ConfigError for what config.json cannot say.
 */
export function writeHfCheckpoint(
  folder: FolderSink,
  checkpoint: Written,
  options: HfOptions,
): { tokenizerWritten: boolean } {
  const { config, tensors } = checkpoint;
  const types = listParameters(config).map((parameter) => options.typeOf(parameter));
  const dtype = types.find((type) => type in torchNames) as keyof typeof torchNames | undefined;
  const wrong = types.find((type) => !(type in torchNames));
  if (wrong !== undefined || dtype === undefined) {
    throw new ArgumentError(
      'hf.dtype',
      `Hugging Face folder: expected f32, f16 or bf16, found ${wrong}. Write quantized weights as GGUF`,
    );
  }
  const text = (file: string, content: string) => {
    const sink = folder.create(file);
    sink.write(new TextEncoder().encode(content));
    sink.close();
  };
  const { bosId, eosIds } = checkpoint.generation;
  const eos = eosIds.length > 1 ? eosIds : (eosIds[0] ?? null);
  text(
    'config.json',
    json({ ...hfConfigOf(config), torch_dtype: torchNames[dtype], bos_token_id: bosId, eos_token_id: eos }),
  );
  text(
    'generation_config.json',
    json({ bos_token_id: bosId, eos_token_id: eos, ...Object.fromEntries(checkpoint.generation.suggestions) }),
  );
  const tokenizerWritten = writeTokenizer(text, folder, checkpoint);

  const named = convertTensors(config, tensors, 'hf', 'halves', options);
  const { files, index } = planShards(named, options.maxShardBytes);
  for (const [file, group] of files) {
    const sink = folder.create(file);
    writeSafetensors(sink, group);
    sink.close();
  }
  if (index !== null) text('model.safetensors.index.json', index);
  return { tokenizerWritten };
}

/**
 * config.json in the spelling of transformers 4, which 5 reads too. A model of the architecture lab, which transformers does not
 * know, is of the type cria_lab and says its choices. Throws ConfigError for what has no form.
 */
export function hfConfigOf(config: LlamaConfig): Record<string, unknown> {
  const choices = Object.keys(labChoices) as (keyof typeof labChoices)[];
  if (choices.every((key) => config[key] === paperChoices[key])) return paperConfigOf(config);
  if (config.attentionBias || config.slidingWindow !== null) {
    const found = `attentionBias ${config.attentionBias}, slidingWindow ${config.slidingWindow}`;
    throw new ConfigError('config.json', [`${found}: a model of the architecture lab has neither in this form`]);
  }
  const lab = Object.fromEntries(choices.map((key) => [key, config[key]]));
  const { hidden_act: _, ...shared } = paperConfigOf(config);
  return { ...shared, architectures: ['CriaLabForCausalLM'], model_type: 'cria_lab', lab };
}

function paperConfigOf(config: LlamaConfig): Record<string, unknown> {
  const type = config.attentionBias ? 'qwen2' : config.slidingWindow !== null ? 'mistral' : 'llama';
  const architecture = { qwen2: 'Qwen2ForCausalLM', mistral: 'MistralForCausalLM', llama: 'LlamaForCausalLM' }[type];
  if (type === 'qwen2' && config.slidingWindow !== null) {
    throw new ConfigError('config.json', [
      'slidingWindow is set beside attentionBias; no model of transformers has both in this form',
    ]);
  }
  return {
    architectures: [architecture],
    model_type: type,
    hidden_size: config.width,
    intermediate_size: config.ffnWidth,
    num_hidden_layers: config.blockCount,
    num_attention_heads: config.headCount,
    num_key_value_heads: config.kvHeadCount,
    head_dim: config.headSize,
    hidden_act: 'silu',
    max_position_embeddings: config.contextLength,
    rms_norm_eps: config.normEps,
    rope_theta: config.ropeTheta,
    ...(config.ropeScaling.kind === 'none' ? {} : { rope_scaling: hfRopeScaling(config.ropeScaling) }),
    tie_word_embeddings: config.tiedEmbeddings,
    vocab_size: config.vocabSize,
    use_cache: true,
    ...(type === 'llama' ? { attention_bias: false, mlp_bias: false } : {}),
    ...(type === 'mistral' ? { sliding_window: config.slidingWindow } : {}),
    ...(type === 'qwen2' ? { use_sliding_window: false } : {}),
  };
}

function hfRopeScaling(scaling: RopeScaling): Record<string, unknown> {
  switch (scaling.kind) {
    case 'none':
      return { rope_type: 'default' };
    case 'linear':
      return { rope_type: 'linear', type: 'linear', factor: scaling.factor };
    case 'llama3':
      return {
        rope_type: 'llama3',
        factor: scaling.factor,
        low_freq_factor: scaling.lowFreqFactor,
        high_freq_factor: scaling.highFreqFactor,
        original_max_position_embeddings: scaling.originalContextLength,
      };
    case 'yarn':
      return {
        rope_type: 'yarn',
        factor: scaling.factor,
        original_max_position_embeddings: scaling.originalContextLength,
        beta_fast: scaling.betaFast,
        beta_slow: scaling.betaSlow,
        ...(scaling.attentionFactor === null ? {} : { attention_factor: scaling.attentionFactor }),
      };
    case 'factors':
      throw new ConfigError('config.json', [
        'ropeScaling is a list of factors that is none of the published scalings; transformers has no form for it',
      ]);
    default:
      return scaling satisfies never;
  }
}

/**
 * The files as they were found; where none of them is transformers' own, a tokenizer.model (SentencePiece) or a tokenizer.json
 * (byte-level BPE) made of the vocabulary.
 */
function writeTokenizer(
  text: (file: string, content: string) => void,
  folder: FolderSink,
  { tokenizer, chatTemplate, config }: Written,
): boolean {
  if (chatTemplate !== null) text('chat_template.jinja', chatTemplate);
  if (tokenizer === null) return false;
  if (tokenizer.kind === 'hf') {
    text('tokenizer.json', tokenizer.json);
    if (tokenizer.config !== null) text('tokenizer_config.json', tokenizer.config);
    if (tokenizer.specialTokens !== null) text('special_tokens_map.json', tokenizer.specialTokens);
    return true;
  }
  const isFile = tokenizer.kind === 'sentencepiece' || tokenizer.kind === 'tiktoken';
  const bytes = isFile ? tokenizer.bytes : sentencePieceOf(tokenizer, config.vocabSize);
  const byteLevel = tokenizer.kind === 'sentencepiece' ? null : byteLevelHfOf(tokenizer, config.vocabSize);
  if (byteLevel !== null) {
    text('tokenizer.json', byteLevel.json);
    text('tokenizer_config.json', byteLevel.config);
  }
  if (bytes === null) return byteLevel !== null;
  const sink = folder.create('tokenizer.model');
  sink.write(bytes);
  sink.close();
  if (tokenizer.kind !== 'tiktoken') {
    const names = { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' };
    text('tokenizer_config.json', json({ tokenizer_class: 'LlamaTokenizer', ...names, legacy: true }));
  }
  return true;
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}
